// Split writes the demo's texts: the parts of the Opticks text, which every Go
// installation carries, that split.json beside this file records.
//
//	go run ./examples/demo/split OUTDIR
//
// writes OUTDIR/calibrate.txt and OUTDIR/evaluate.txt. Both the whole text and
// the parts are checked against their sha256: the model was trained on the rest
// of exactly this file.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/internal/fsx"
)

//go:embed split.json
var record []byte

// recorded is split.json.
type recorded struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Parts  map[string]struct {
		Begin  int    `json:"begin"`
		End    int    `json:"end"`
		SHA256 string `json:"sha256"`
	} `json:"parts"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./examples/demo/split OUTDIR")
		os.Exit(2)
	}
	goroot, err := findGoroot(context.Background())
	if err == nil {
		err = split(filepath.Join(goroot, "src", "testdata"), os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "split:", err)
		os.Exit(4)
	}
}

// findGoroot asks the go command, which is there since it runs this program.
func findGoroot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for GOROOT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// split reads the text in dir and writes its parts, except the one that was
// trained on, into out.
func split(dir, out string) error {
	var r recorded
	if err := json.Unmarshal(record, &r); err != nil {
		return fmt.Errorf("reading split.json: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, r.File))
	if err != nil {
		return fmt.Errorf("reading the demo's text: %w", err)
	}
	if got := sum(text); got != r.SHA256 {
		return fmt.Errorf("%s of this Go installation has the sha256 %s, the demo's model was trained on %s", r.File, got, r.SHA256)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fsx.Explain("creating", out, err)
	}
	var errs []error
	for _, name := range []string{"calibrate", "evaluate"} {
		p := r.Parts[name]
		if p.Begin < 0 || p.End < p.Begin || p.End > len(text) || sum(text[p.Begin:p.End]) != p.SHA256 {
			return fmt.Errorf("split.json: the part %s, bytes %d to %d, is not in the text", name, p.Begin, p.End)
		}
		errs = append(errs, fsx.WriteFile(filepath.Join(out, name+".txt"), func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(text[p.Begin:p.End]))
			return err
		}))
	}
	return errors.Join(errs...)
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
