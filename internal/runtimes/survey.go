package runtimes

import (
	"slices"
	"strings"
)

// State is a runtime as it stands on this machine, for people.
type State struct {
	Name          string   `json:"name"`
	What          string   `json:"what"`
	Licence       string   `json:"licence"`
	DownloadBytes int64    `json:"download_bytes"`
	DiskBytes     int64    `json:"disk_bytes"`
	Installed     *Runtime `json:"installed"` // nil = no
}

// Survey is the state of every runtime, found as [Find] finds.
func Survey() []State {
	var out []State
	for _, spec := range Specs() {
		s := State{Name: spec.Name, What: spec.What, Licence: spec.Licence}
		if lock, err := LockOf(spec.Name); err == nil {
			s.DownloadBytes, s.DiskBytes = lock.Download, lock.Installed
		}
		if r, ok := Find(spec.Name); ok {
			s.Installed = &r
		}
		out = append(out, s)
	}
	return out
}

// VersionText is the versions of what is in it, "torch 2.15.0, transformers
// 5.23.0", or "" where nobody has loaded it yet.
func (r Runtime) VersionText() string {
	var parts []string
	for name, version := range r.Versions {
		parts = append(parts, strings.TrimSpace(name+" "+version))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
