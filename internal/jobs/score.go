package jobs

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

// The two ways in which logits come about.
const (
	Prefill = "prefill" // every window in one pass
	Decode  = "decode"  // token by token, with the cache of keys and values
)

// defaultBatch is how many windows run together unless asked otherwise.
const defaultBatch = 4

// maxLogits bounds the logits of the windows that run together, in bytes: with a
// large vocabulary fewer do, down to one.
const maxLogits = 256 << 20

// ScoreRequest asks for the score of a text.
type ScoreRequest struct {
	Model
	IDs        []int               `json:"-"` // of the whole text; they travel beside the request
	Convention validate.Convention `json:"convention"`
	Bundle     string              `json:"bundle,omitempty"`  // directory of the reference; empty: negative log likelihoods alone
	Pipe       string              `json:"pipe,omitempty"`    // FIFO of the live reference's logits, in place of a bundle
	Phase      string              `json:"phase"`             // Prefill or Decode
	Batch      int                 `json:"batch,omitempty"`   // windows that run together; 4 where 0, or fewer of a large vocabulary
	Windows    int                 `json:"windows,omitempty"` // only the first so many; all where 0
	Prompt     int                 `json:"prompt,omitempty"`  // Decode: tokens of the prefill before the first step; 1 where 0, or what is before the first scored token
}

// Score runs a text through a model and compares each position with the
// reference. Memory is that of one batch of windows, whatever the text's length.
func Score(ctx context.Context, c Caller, r ScoreRequest, p progress.Counter) (*validate.Score, error) {
	if isPlan(r.Model) {
		return r.score(across(ctx, c, r.Model), p)
	}
	s := &validate.Score{}
	if _, err := c.CallTensors(ctx, scoreJob, r, []onnx.Tensor{tensorOf(r.IDs)}, s, p); err != nil {
		return nil, err
	}
	return s, nil
}

// tensorOf are token ids as they cross the pipe: a text may have millions.
func tensorOf(ids []int) onnx.Tensor {
	raw := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
	}
	return onnx.Tensor{Name: "ids", Type: onnx.Int32, Dims: []int64{int64(len(ids))}, Bytes: raw}
}

// idsOf reads what tensorOf wrote.
func idsOf(all []onnx.Tensor) ([]int, error) {
	if len(all) != 1 || all[0].Type != onnx.Int32 {
		return nil, fmt.Errorf("job %s: %d tensors came with the request, not one of token ids", scoreJob, len(all))
	}
	ids := make([]int, len(all[0].Bytes)/4)
	for i := range ids {
		ids[i] = int(int32(binary.LittleEndian.Uint32(all[0].Bytes[4*i:])))
	}
	return ids, nil
}

func score(_ context.Context, call *child.Call) (any, error) {
	var r ScoreRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	ids, err := idsOf(call.Tensors)
	if err != nil {
		return nil, err
	}
	r.IDs, call.Tensors = ids, nil
	return r.score(r.here, call.Progress)
}

// score scores the text on a session.
func (r ScoreRequest) score(open opener, p progress.Counter) (*validate.Score, error) {
	windows, err := r.check()
	if err != nil {
		return nil, err
	}
	var bundle *validate.Bundle
	if r.Bundle != "" {
		if bundle, err = validate.Read(r.Bundle); err != nil {
			return nil, err
		}
		defer func() { _ = bundle.Close() }()
	}
	a, err := validate.NewAccumulator(windows, r.Convention, len(r.IDs), bundle, r.Phase)
	if err != nil {
		return nil, err
	}
	if r.Pipe != "" {
		pipe, err := os.Open(r.Pipe)
		if err != nil {
			return nil, fsx.Explain("reading the live reference from", r.Pipe, err)
		}
		defer func() { _ = pipe.Close() }()
		a.Live(pipe)
	}
	err = open(func(s lm.Session, load time.Duration) error {
		session := &timed{Around: lm.Around{Session: s}}
		err := (&scorer{r: r, session: session, windows: windows, a: a, p: p}).all()
		if !isPlan(r.Model) { // of whose runs the pipe takes a share
			a.Took(milliseconds(load), milliseconds(session.run))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.Score()
}

// check fills in defaults and gives the windows to score.
func (r *ScoreRequest) check() ([]validate.Window, error) {
	if err := r.needContract(scoreJob); err != nil {
		return nil, err
	}
	if r.Phase != Prefill && r.Phase != Decode {
		return nil, fmt.Errorf("job %s: %q is neither %s nor %s", scoreJob, r.Phase, Prefill, Decode)
	}
	if r.Phase == Prefill && r.Contract.Logits == "last" {
		return nil, fault.New(fault.Input, "scoring", r.Path, "the graph answers the last position only", "export it with --logits all")
	}
	r.Batch = Batch(r.Contract, r.Convention, r.Batch)
	windows := r.Convention.Windows(r.IDs)
	if r.Windows > 0 && r.Windows < len(windows) {
		windows = windows[:r.Windows]
	}
	return windows, nil
}

// Batch is how many windows run together where asked for that many, or 0.
func Batch(c *contract.Contract, of validate.Convention, asked int) int {
	if asked > 0 {
		return asked
	}
	one := 4 * int64(of.Length) * max(int64(c.Vocab), 1)
	return int(min(max(maxLogits/one, 1), defaultBatch))
}

// Groups are the windows of a text that run together: of one length, with the same
// scored positions, at most batch of them.
func Groups(c validate.Convention, tokens, windows, batch int) (all [][]int) {
	shape := func(w int) validate.Span {
		s := c.Span(tokens, w)
		s.Begin = 0
		return s
	}
	for w := range windows {
		last := len(all) - 1
		if last < 0 || len(all[last]) == batch || shape(all[last][0]) != shape(w) {
			all = append(all, nil)
			last++
		}
		all[last] = append(all[last], w)
	}
	return all
}

// scorer feeds windows, a group at a time.
type scorer struct {
	r       ScoreRequest
	session lm.Session
	windows []validate.Window
	a       *validate.Accumulator
	p       progress.Counter

	d    *lm.Decoder // of groups that are alike
	size [2]int      // their number of windows, and the windows' length
	add  []validate.Position
}

func (s *scorer) all() error {
	s.p.SetMax(int64(len(s.windows)))
	defer func() {
		if s.d != nil {
			_ = s.d.Close()
		}
	}()
	for _, g := range Groups(s.r.Convention, len(s.r.IDs), len(s.windows), s.r.Batch) {
		if err := s.group(g); err != nil {
			return fmt.Errorf("scoring windows %d to %d: %w", g[0], g[len(g)-1], err)
		}
		s.p.Set(int64(g[len(g)-1] + 1))
	}
	return nil
}

// decoder is one for a group, with its bindings.
func (s *scorer) decoder(windows, length, prompt int) (err error) {
	if size := [2]int{windows, length}; s.d == nil || s.size != size {
		if s.d != nil {
			if err := s.d.Close(); err != nil {
				return err
			}
		}
		if s.d, err = lm.NewDecoder(s.session, s.r.Contract, lm.Options{Batch: windows, Capacity: length}); err != nil {
			return err
		}
		s.size = size
	}
	return s.d.Prepare(prompt, length-prompt+1)
}

// group scores windows that run together: a prefill of prompt tokens, then a step
// for each token behind them.
func (s *scorer) group(g []int) error {
	first := s.windows[g[0]]
	length := first.Length - 1 // the last token of a window is only predicted, never fed
	prompt := length
	if s.r.Phase == Decode {
		prompt = min(max(s.r.Prompt, first.First+1), length)
	}
	if err := s.decoder(len(g), length, prompt); err != nil {
		return err
	}
	heads := make([][]int64, len(g))
	for b, w := range g {
		heads[b] = wide(s.windows[w].IDs[:prompt])
	}
	logits, err := s.d.Prefill(heads)
	if err != nil {
		return err
	}
	if err := s.take(g, logits, first.First, prompt); err != nil {
		return err
	}
	next := make([]int64, len(g))
	for t := prompt; t < length; t++ {
		for b, w := range g {
			next[b] = int64(s.windows[w].IDs[t])
		}
		if logits, err = s.d.Step(next); err != nil {
			return err
		}
		if err := s.take(g, logits, t, t+1); err != nil {
			return err
		}
	}
	return nil
}

// take hands over the logits of positions from up to but not including end, the
// one that is last among them.
func (s *scorer) take(g []int, l lm.Logits, from, end int) error {
	s.add = s.add[:0]
	from = max(from, end-l.Seq)
	for b, w := range g {
		for t := from; t < end; t++ {
			s.add = append(s.add, validate.Position{Window: w, At: t, Logits: l.Row(b, t-end+l.Seq)})
		}
	}
	return s.a.Add(s.add...)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
