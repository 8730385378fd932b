package pack

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// members are the files of an archive by name.
func members(t *testing.T, b []byte) map[string]*tar.Header {
	t.Helper()
	all := map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = h
	}
}

func TestTarIsTheSameEverywhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	if err := Triton(dir, model(t)); err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	for _, w := range []*bytes.Buffer{&one, &two} {
		if err := Tar(w, dir, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "README.md"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two archives of one directory differ")
	}
	if all := members(t, one.Bytes()); all["engine/gpt2/config.pbtxt"] == nil || len(all) != 5 {
		t.Errorf("it holds %v", all)
	}
}

// plain is a directory that is no package.
func plain(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plain")
	for name, mode := range map[string]os.FileMode{"run.sh": 0o755, "b/data": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestArchiveOfADirectory: what is unpacked can be proved and run, and says what it is.
func TestArchiveOfADirectory(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("sha256sum is not installed")
	}
	dir, home := plain(t), t.TempDir()
	var b bytes.Buffer
	if err := Archive(&b, dir, []string{"made in a test"}); err != nil {
		t.Fatal(err)
	}
	if all := members(t, b.Bytes()); len(all) != 4 || all["plain/run.sh"].Mode != 0o755 || all["plain/b/data"].Mode != 0o644 {
		t.Errorf("it holds %v", all)
	}
	for _, command := range []string{"tar xf -", "cd plain && sha256sum --strict -c " + Checksums, "plain/run.sh", "grep -q 'passed on' plain/" + About + " && grep -q 'made in a test' plain/" + About} {
		c := exec.Command("sh", "-c", command)
		c.Dir, c.Stdin = home, bytes.NewReader(b.Bytes())
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}

	// What was unpacked is a package, which comes out of a second archive as it is.
	var again bytes.Buffer
	if err := Archive(&again, filepath.Join(home, "plain"), nil); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("the archive of an unpacked archive differs (%v)", err)
	}
}

func TestWhatIsNotArchived(t *testing.T) {
	for name, v := range map[string]struct {
		harm func(dir string) error
		say  string
	}{
		"a link":           {func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "link")) }, "no regular file"},
		"a changed file":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "run.sh"), []byte("x"), 0o600) }, "run.sh"},
		"a file more":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) }, "new"},
		"a file less":      {func(dir string) error { return os.Remove(filepath.Join(dir, "run.sh")) }, "run.sh"},
		"checksums of air": {func(dir string) error { return os.WriteFile(filepath.Join(dir, Checksums), nil, 0o600) }, "run.sh"},
	} {
		dir := plain(t)
		if err := WriteChecksums(dir); err != nil {
			t.Fatal(err)
		}
		if err := v.harm(dir); err != nil {
			t.Fatal(err)
		}
		if err := Archive(io.Discard, dir, nil); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), v.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := plain(t)
	if err := os.WriteFile(filepath.Join(dir, About), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Archive(io.Discard, dir, nil); fault.Classify(err) != fault.Usage {
		t.Errorf("a %s of its own: %v", About, err)
	}
}

// TestNamesInOrder: an archive lists a directory's files by their names.
func TestNamesInOrder(t *testing.T) {
	names, err := regular(plain(t))
	if err != nil || !slices.Equal(names, []string{"b/data", "run.sh"}) {
		t.Errorf("%v, %v", names, err)
	}
}
