package fsx

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// TestWriteFileFollowsLinks: a link stays a link, whether what it names is there
// or not yet.
func TestWriteFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		if err := WriteFile(link, text(want)); err != nil {
			t.Fatal(err)
		}
		if to, err := os.Readlink(link); err != nil || to != "target" {
			t.Fatalf("the link is %q, %v", to, err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "target")); string(got) != want {
			t.Errorf("its target holds %q, want %q", got, want)
		}
	}
}

// TestWriteFileWritesThrough: a pipe gets the text and stays a pipe, /dev/null too.
func TestWriteFileWritesThrough(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		b, _ := os.ReadFile(pipe)
		read <- string(b)
	}()
	if err := WriteFile(pipe, text("through")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("the pipe is %v, %v", info.Mode(), err)
	}
	if got := <-read; got != "through" {
		t.Errorf("the pipe gave %q", got)
	}
	if err := WriteFile("/dev/null", text("nothing")); err != nil {
		t.Fatal(err)
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	if err := Writable(filepath.Join(dir, "new", "f")); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, bad := range []string{"/proc/trtforge/f", filepath.Join("fsx.go", "f")} {
		if err := Writable(bad); err == nil {
			t.Errorf("%s is writable", bad)
		}
	}
}
