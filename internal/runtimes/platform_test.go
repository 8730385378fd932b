package runtimes

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestOtherPlatformsAreRefusedByName(t *testing.T) {
	tests := []struct{ goos, goarch, glibc, refused string }{
		{"linux", "amd64", "2.28", ""},
		{"linux", "amd64", "2.41", ""},
		{"linux", "amd64", "3.0", ""},
		{"linux", "amd64", "2.27", "glibc 2.27"},
		{"linux", "amd64", "", "linux without glibc"},
		{"linux", "amd64", "?", "glibc ?"},
		{"linux", "arm64", "2.36", "linux/arm64"},
		{"darwin", "arm64", "", "darwin/arm64"},
		{"windows", "amd64", "", "windows/amd64"},
	}
	for _, tt := range tests {
		err := checkPlatform(tt.goos, tt.goarch, tt.glibc)
		if (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("checkPlatform(%s, %s, %q) = %v, want %q refused", tt.goos, tt.goarch, tt.glibc, err, tt.refused)
		}
		if err != nil && fault.Exit(err) != 3 {
			t.Errorf("checkPlatform(%s, %s, %q) exits %d, want 3", tt.goos, tt.goarch, tt.glibc, fault.Exit(err))
		}
	}
}

func TestFullDiskIsSeenBefore(t *testing.T) {
	dir := t.TempDir()
	if err := checkSpace(dir+"/not/yet/there", 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err := checkSpace(dir, 1<<60)
	if fault.Exit(err) != 5 || !strings.Contains(err.Error(), "are free") {
		t.Errorf("an exabyte: %v", err)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{427: "0 kB", 4_270: "4 kB", 28_000_000: "28 MB", 5_618_605_020: "5.6 GB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestHome(t *testing.T) {
	tests := []struct{ own, xdg, home, want string }{
		{"/a", "/b", "/c", "/a"},
		{"", "/b", "/c", "/b/trtforge"},
		{"", "relative", "/c", "/c/.cache/trtforge"},
		{"", "", "/c", "/c/.cache/trtforge"},
		{"", "", "", ""},
	}
	for _, tt := range tests {
		t.Setenv("TRTFORGE_HOME", tt.own)
		t.Setenv("XDG_CACHE_HOME", tt.xdg)
		t.Setenv("HOME", tt.home)
		got, err := Home()
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("Home() with %v = %q, %v", tt, got, err)
		}
	}
}
