package runtimes

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed locks/*.txt
var locks embed.FS

// Lock is a runtime's list of pinned wheels, in pip's requirements format.
type Lock struct {
	Text      string
	Download  int64             // bytes
	Installed int64             // bytes
	Versions  map[string]string // by canonical distribution name
}

// LockOf reads the lock file of a runtime that the binary carries.
func LockOf(name string) (Lock, error) {
	text, err := locks.ReadFile("locks/" + name + ".txt")
	if err != nil {
		return Lock{}, fmt.Errorf("reading the lock of %s: %w", name, err)
	}
	return parseLock(string(text))
}

// requirement matches the first line of a locked package.
var requirement = regexp.MustCompile(`^([a-z0-9-]+)==([^ ;\\]+)`)

func parseLock(text string) (Lock, error) {
	l := Lock{Text: text, Versions: map[string]string{}}
	for line := range strings.Lines(text) {
		for head, into := range map[string]*int64{"# download_bytes: ": &l.Download, "# installed_bytes: ": &l.Installed} {
			if value, ok := strings.CutPrefix(line, head); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				if err != nil {
					return Lock{}, fmt.Errorf("reading a lock: %w", err)
				}
				*into = n
			}
		}
		if m := requirement.FindStringSubmatch(line); m != nil {
			l.Versions[m[1]] = m[2]
		}
	}
	return l, nil
}

// hash names the directory of what a lock installs, over laid-under locks.
func (l Lock) hash(below ...string) string {
	h := sha256.New()
	for _, text := range append(below, l.Text) {
		h.Write([]byte(text))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// loose is the lock without hashes, for an index whose builds differ. What
// PyTorch brings along for its accelerator differs too and is left to the
// index; PyTorch pins it itself.
func (l Lock) loose() string {
	var b strings.Builder
	for line := range strings.Lines(l.Text) {
		m := requirement.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[1], "nvidia-") || strings.HasPrefix(m[1], "cuda-") || m[1] == "triton" {
			continue
		}
		entry, _, _ := strings.Cut(strings.TrimSpace(line), "\\")
		b.WriteString(strings.TrimSpace(entry) + "\n")
	}
	return b.String()
}
