package task

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/rows"
)

// Search asks what INT8 costs the products that a recipe takes, and with a gate
// which of them to quantize, as the stage of a pipeline and the command ask for it.
type Search struct {
	Model    *onnx.Model
	Contract *contract.Contract // of the model
	Table    *calib.Table       // nil where weights alone are quantized
	Recipe   quant.Recipe       // its products are the candidates
	IDs      []int              // the text: neither what is evaluated nor, better, what ranges come from
	Windows  int                // that are measured; 0 = 8. A choice is confirmed on as many more
	Length   int                // tokens a window; 0 = 64, or the model's positions where those are fewer
	Parts    bool               // measure activation and weight of each product apart, too
	Gate     search.Gate        // none: nothing is chosen
	Budget   int                // measurements at most; 0 = as the search decides
	Threads  int
	Dir      string // where the probe lies for the time of it: as large as the model and the candidates again
}

// maxRetreats is how many choices are measured as they would be written: each is a
// graph of its own.
const maxRetreats = 32

// Run measures and chooses. The targets are the candidates in the result's order.
func (s Search) Run(ctx context.Context, c jobs.Caller, p progress.Counter) (*search.Result, []quant.Target, error) {
	if s.Windows == 0 {
		s.Windows = 8
	}
	if s.Length == 0 {
		if s.Length = 64; s.Contract.MaxPositions > 0 {
			s.Length = min(s.Length, s.Contract.MaxPositions)
		}
	}
	r := jobs.SearchRequest{Length: s.Length, Windows: s.Windows, Parts: s.Parts, Gate: s.Gate, Budget: s.Budget}
	if s.Gate != (search.Gate{}) {
		r.Confirm = s.Windows
	}
	err := calib.CheckIDs(Widen(s.IDs), s.Contract.Vocab)
	if err != nil {
		return nil, nil, err
	}
	if r.IDs, err = s.windows(r.Windows, r.Confirm); err != nil {
		return nil, nil, err
	}
	result, targets, err := s.measure(ctx, c, r, s.Recipe, p)
	if err != nil || r.Confirm == 0 || s.Recipe.Smooth.Off() || s.Table == nil || result.Chosen.Chosen.Count() == 0 {
		return result, targets, err
	}
	// The graph that is written is smoothed for what was chosen, the probe was for
	// all candidates: measure what is written, and choose less where that breaks the gate.
	chosen, final := s.Recipe, r
	final.IDs, final.Confirm, final.Gate, final.Only = r.IDs[s.Windows*s.Length:], 0, search.Gate{}, true
	for tries := 0; result.Chosen.Chosen.Count() > 0; tries++ {
		if tries == maxRetreats {
			result.Chosen, result.Exact = result.Points[0], false // nothing is measured first
			break
		}
		p.Note("what was chosen")
		chosen.Choices = Choices(result)
		measured, _, err := s.measure(ctx, c, final, chosen, p)
		if err != nil {
			return nil, nil, err
		}
		if s.Gate.Holds(measured.Points[0].Measured) {
			result.Final = &measured.Points[0]
			break
		}
		result.Retreat()
	}
	return result, targets, nil
}

// measure runs one job on the products that a recipe takes.
func (s Search) measure(ctx context.Context, c jobs.Caller, r jobs.SearchRequest, recipe quant.Recipe, p progress.Counter) (*search.Result, []quant.Target, error) {
	probe, targets, err := recipe.Probe(s.Model, s.Table)
	if err != nil {
		return nil, nil, err
	}
	if len(targets) == 0 {
		return nil, nil, fault.New(fault.Usage, "measuring", "", "the recipe takes no product, so there is nothing to measure", "choose --roles or --include that take some")
	}
	everything := make(search.Subset, len(targets))
	for i, t := range targets {
		plain, quantized := t.Bytes(recipe.Precision.Float())
		r.Candidates = append(r.Candidates, search.Candidate{Node: t.Node, Float: plain, Quantized: quantized})
		everything[i] = true
	}
	r.Subsets = []search.Subset{everything}
	dir, err := os.MkdirTemp(s.Dir, fsx.TempPrefix+"probe-*")
	if err != nil {
		return nil, nil, fsx.Explain("creating a directory in", s.Dir, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r.Model = jobs.Model{Path: filepath.Join(dir, quant.ModelFile), Contract: s.Contract, Threads: s.Threads}
	p.Note("writing the probe")
	if err := onnx.Save(probe, r.Path, onnx.SaveOptions{}); err != nil {
		return nil, nil, err
	}
	result, err := jobs.Search(ctx, c, r, p)
	return result, targets, err
}

// windows are the tokens of windows spread evenly over the text: those that are
// measured first, then those between them, which confirm.
func (s Search) windows(measured, confirm int) ([]int, error) {
	n := measured + confirm
	if s.Length < 2 || measured < 2 || len(s.IDs) < n*s.Length {
		return nil, fault.New(fault.Usage, "measuring", "the text", fmt.Sprintf("it has %d tokens; %d windows of %d need %d, and 2 windows of 2 are the least", len(s.IDs), n, s.Length, n*s.Length),
			"give a longer text, or ask for fewer or shorter windows")
	}
	var first, second []int
	for i := range n {
		at := i * (len(s.IDs) / n)
		window := s.IDs[at : at+s.Length]
		if confirm > 0 && i%2 == 1 {
			second = append(second, window...)
		} else {
			first = append(first, window...)
		}
	}
	return append(first, second...), nil
}

// Choices are what a search chose, for a recipe.
func Choices(r *search.Result) map[string]bool {
	all := map[string]bool{}
	for i, c := range r.Candidates {
		all[c.Node] = r.Chosen.Chosen != nil && r.Chosen.Chosen[i]
	}
	return all
}

// AddEffects writes what was measured beside the decisions.
func AddEffects(d *quant.Decisions, found *search.Result) {
	if found == nil {
		return
	}
	effects := map[string]search.Effect{}
	for _, e := range found.Effects {
		effects[e.Node] = e
	}
	for i, c := range d.Decisions {
		e, ok := effects[c.Node]
		if !ok {
			continue
		}
		kl := e.Both.KL
		s := &quant.Sensitivity{KL: rows.Number(kl.Value), KLLo: rows.Number(kl.Lo), KLHi: rows.Number(kl.Hi), PPLRatio: rows.Number(e.Both.PPL.Value)}
		if e.Activation != nil && e.Weight != nil {
			s.Activation, s.Weight = rows.Number(e.Activation.KL.Value), rows.Number(e.Weight.KL.Value)
		}
		d.Decisions[i].Sensitivity = s
	}
}
