package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// Answers refuses, as class runtime, a build that is not what a request asks for: by
// its own manifest, and by the files in dir. It is the check of those who keep
// engines, for builders that say "done" too soon.
func Answers(r Request, m *Manifest, dir string) error {
	var wrong []string
	differ := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, asked for was %v", what, got, want))
		}
	}
	differ("backend", m.Backend, r.Backend)
	differ("model", m.ModelDigest, r.ModelDigest)
	differ("target", m.Target, r.Target)
	differ("precision", m.Precision, r.Precision)
	differ("precision of its products", m.Achieved, r.Precision)
	differ("scale of its cache", m.KVScale, r.KVScale())
	if r.Plan != nil {
		differ("number of profiles", len(m.Profiles), len(r.Plan.Profiles))
		if d := profiles.Compare(r.Plan.Profiles, m.Profiles, profiles.Partial{}); len(m.Profiles) == len(r.Plan.Profiles) && !d.Same() {
			wrong = append(wrong, "its profiles are others: "+strings.Join(d.Lines(), "; "))
		}
	}
	for _, name := range append([]string{m.File}, m.Files...) {
		if !filepath.IsLocal(name) {
			wrong = append(wrong, fmt.Sprintf("it names a file %q, which lies outside", name))
		} else if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			wrong = append(wrong, fmt.Sprintf("its file %s is missing or empty", name))
		}
	}
	if wrong == nil {
		return nil
	}
	return fault.New(fault.Runtime, "building", r.Name, "the builder says that it is done, but "+strings.Join(wrong, "; "), "report this, with the builder's log")
}
