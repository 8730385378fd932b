package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/decorate"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// TestNothingOfABadBuilderIsKept: what says that it is done and is not fails, and a
// good builder then builds under the same key.
func TestNothingOfABadBuilderIsKept(t *testing.T) {
	for name, harm := range enginetest.Harms {
		t.Run(name, func(t *testing.T) {
			s, r := open(t), request(t)
			_, err := s.Build(t.Context(), enginetest.Bad{Fake: enginetest.Fake{Version: "1"}, Harm: harm}, r, progress.Noop)
			if fault.Classify(err) != fault.Runtime {
				t.Errorf("err %v", err)
			}
			if all, err := s.List(); err != nil || len(all) != 0 {
				t.Errorf("kept: %+v, %v", all, err)
			}
			if e := build(t, s, enginetest.Fake{Version: "1"}, r); e.Cached {
				t.Error("a bad build was reused")
			}
		})
	}
}

// hangs is a builder that writes a byte and never comes back by itself.
type hangs struct{ enginetest.Fake }

func (hangs) Build(ctx context.Context, _ engine.Request, _ string, _ progress.Counter) (*engine.Manifest, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestABuilderThatHangsIsEndedAndLetsTheNextIn(t *testing.T) {
	s, r := open(t), request(t)
	_, err := s.Build(t.Context(), decorate.Timeout(hangs{}, 50*time.Millisecond), r, progress.Noop)
	if fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), "longer than 50ms") || errors.Is(err, context.Canceled) {
		t.Errorf("err %v", err)
	}
	build(t, s, enginetest.Fake{}, r)
}

// TestFilesHashedWhileWritten: a digest that was taken as a file was written is sealed
// without another look at the file, and the first use proves it.
func TestFilesHashedWhileWritten(t *testing.T) {
	hashed := func(digest string) engine.Builder {
		return enginetest.Bad{Fake: enginetest.Fake{Version: "1"}, Harm: func(m *engine.Manifest, _ string) {
			if digest != "" {
				m.FileDigest = digest
			}
			m.Hashed = map[string]string{m.File: m.FileDigest}
		}}
	}
	for digest, hit := range map[string]bool{"": true, engine.KeyOf(nil): false} {
		s, r := open(t), request(t)
		first := build(t, s, hashed(digest), r).Manifest
		if first.Digests[first.File] != first.FileDigest || digest != "" && first.FileDigest != digest {
			t.Errorf("digests %v", first.Digests)
		}
		second := build(t, s, enginetest.Fake{Version: "1"}, r)
		if second.Cached != hit {
			t.Errorf("digest %q: the second is cached: %v, want %v", digest, second.Cached, hit)
		}
		must(t, second.prove())
	}
}
