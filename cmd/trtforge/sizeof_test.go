package main

import "testing"

func TestSizeOf(t *testing.T) {
	for n, want := range map[int64]string{12: "12 B", 1500: "1.5 kB", 543e3: "543 kB", 2500e6: "2.5 GB", 9999.6e9: "10000 GB", 37260e9: "37260 GB"} {
		if got := sizeOf(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
