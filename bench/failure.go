package bench

import (
	"context"
	"errors"
	"strings"
)

// Class is why a request failed, in one word.
type Class string

// The classes of failure.
const (
	Shape      Class = "shape"      // a shape that the engine has no profile or room for
	Memory     Class = "memory"     // out of memory
	Timeout    Class = "timeout"    // took longer than allowed
	NonFinite  Class = "non_finite" // the logits hold NaN, or an infinity was chosen
	Died       Class = "died"       // the process ended
	Backwards  Class = "clock"      // the clock ran back or stood still
	Vocabulary Class = "vocabulary" // the tokens are another model's
	Other      Class = "other"      // anything else; the cause says it
)

// Failure is a request that gave no time.
type Failure struct {
	Class Class  `json:"class"`
	Cause string `json:"cause"`
}

var errNonFinite = errors.New("the logits hold NaN")

// errVocabulary says how tokens do not fit an engine.
type errVocabulary string

func (e errVocabulary) Error() string { return string(e) }

// words that runtimes use, per class, in the order they are looked for: a
// process that was killed for its memory is about memory.
var words = []struct {
	class Class
	any   []string
}{
	{Memory, []string{"out of memory", "bad_alloc", "failed to allocate", "memory limit", "of memory, the limit", "cannot allocate"}},
	{Timeout, []string{"timed out", "timeout", "deadline exceeded", "took longer than", "said nothing for"}},
	{Died, []string{"signal", "was killed", "crashed", "was ended", "exit status", "died", "broken pipe", "unexpected eof", "silent"}},
	{Shape, []string{"profile", "invalid dimension", "got invalid dimensions", "shape", "dimension"}},
}

// Classify gives an error its class.
func Classify(err error) *Failure {
	f := &Failure{Class: Other, Cause: err.Error()}
	var vocabulary errVocabulary
	switch {
	case errors.As(err, &vocabulary):
		f.Class = Vocabulary
	case errors.Is(err, errNonFinite):
		f.Class = NonFinite
	case errors.Is(err, context.DeadlineExceeded):
		f.Class = Timeout
	default:
		text := strings.ToLower(f.Cause)
		for _, w := range words {
			for _, word := range w.any {
				if strings.Contains(text, word) {
					f.Class = w.class
					return f
				}
			}
		}
	}
	return f
}
