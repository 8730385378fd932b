package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/trial"
)

// parity is how many of PyTorch's greedy tokens an engine generates, too: engines
// that do other work are not to be compared in time without saying so.
type parity struct {
	Engine string `json:"engine"`
	Same   int    `json:"same"`
	Of     int    `json:"of"`
	Rows   int    `json:"rows"` // that the tokens stand in
}

// parityFile is what is kept of a comparison of tokens.
type parityFile struct {
	Of     string   `json:"of"` // the engines' keys
	Parity []parity `json:"parity"`
}

// parity has every engine run each scenario once and compares the tokens. A token
// counts up to the first that differs in its row, behind which prompts differ.
func (w *workshop) parity(ctx context.Context, m *member, all []trial.System) ([]parity, error) {
	path := filepath.Join(w.results(m.Name), "parity.json")
	var keys []string
	for _, s := range all {
		keys = append(keys, s.Name+" "+s.Key)
	}
	of := strings.Join(append(keys, fmt.Sprint(w.study.Workload.Scenarios)), "; ")
	var file parityFile
	if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &file) == nil && file.Of == of {
		return file.Parity, nil
	}
	at := slices.IndexFunc(all, func(s trial.System) bool { return s.Name == "torch" })
	if at < 0 {
		return nil, nil // there is nothing to hold them to
	}
	want, err := w.tokens(ctx, all[at])
	if err != nil {
		return nil, err
	}
	file = parityFile{Of: of}
	for i, s := range all {
		if i == at {
			continue
		}
		got, err := w.tokens(ctx, s)
		if err != nil {
			return nil, err
		}
		p := parity{Engine: s.Name}
		for key, rows := range want {
			same, n := agreeing(rows, got[key])
			p.Same, p.Of, p.Rows = p.Same+same, p.Of+n, p.Rows+len(rows)
		}
		file.Parity = append(file.Parity, p)
	}
	return file.Parity, fsx.WriteJSON(path, file)
}

// tokens are what a system generates, by scenario.
func (w *workshop) tokens(ctx context.Context, s trial.System) (map[string][][]int64, error) {
	type stopped interface{ Continue() }
	if c, ok := s.Caller.(stopped); ok {
		c.Continue()
	}
	r := jobs.BenchRequest{
		Model: s.Model, Engine: s.Name, Cases: cases(w.study.Workload.Scenarios, []string{modeCached}), Repetitions: 1,
		Warmup: bench.Warmup{Exactly: new(int)}, Text: w.prompts[:min(len(w.prompts), promptTokens)], Keep: true, Tokens: true,
	}
	result, err := jobs.Bench(ctx, s.Caller, r, progress.Noop)
	if err != nil {
		return nil, fmt.Errorf("tokens of %s: %w", s.Name, err)
	}
	return result.Tokens, nil
}

// agreeing counts the tokens of rows before the first that differs.
func agreeing(want, got [][]int64) (same, of int) {
	for b, row := range want {
		of += len(row)
		for i, id := range row {
			if b >= len(got) || i >= len(got[b]) || got[b][i] != id {
				break
			}
			same++
		}
	}
	return same, of
}
