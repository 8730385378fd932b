package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// What was asked: a million requests are derived from and checked in three times
// what encoding/json needs to read them, in 200 MB, and a request costs no more
// among a million than among ten thousand.
const (
	traceAsked  = 1.0 / 3
	tracePeak   = 200
	traceLinear = 0.9
	traceLong   = 1_000_000
	traceShort  = 10_000
)

// traceFigures: from a trace to proved profiles.
func traceFigures(w *workshop) error {
	long, short := w.path("long.jsonl"), w.path("short.jsonl")
	for path, n := range map[string]int{long: traceLong, short: traceShort} {
		if err := writeTrace(path, n); err != nil {
			return err
		}
	}
	c := traceContract()
	if err := c.Save(w.path("contract.json")); err != nil {
		return err
	}
	err := w.compare(plan{
		name: "trace-1m", unit: "ms", asked: traceAsked, reps: 1,
		ours:   func() (*side, error) { return self("trace", long, "1") },
		anchor: func() (*side, error) { return self("tracejson", long, "1") },
	})
	if err != nil {
		return err
	}
	err = w.compare(plan{
		name: "trace-1m-linear", unit: "ms", asked: traceLinear, reps: 1,
		ours:   func() (*side, error) { return self("trace", long, "1") },
		anchor: func() (*side, error) { return self("trace", short, strconv.Itoa(traceLong/traceShort)) },
	})
	if err != nil {
		return err
	}
	peak, err := tracePeakOf(w.path("contract.json"), long)
	if err == nil {
		w.say(peak)
	}
	return err
}

// writeTrace writes requests of lognormal lengths in AIPerf's form.
func writeTrace(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	b := bufio.NewWriter(f)
	r := rand.New(rand.NewPCG(1, 2))
	length := func(median, most float64) int {
		return int(min(max(median*math.Exp(r.NormFloat64()), 1), most))
	}
	for i := range n {
		_, _ = fmt.Fprintf(b, `{"timestamp": %d, "input_length": %d, "output_length": %d}`+"\n", i, length(600, 24000), length(150, 4000))
	}
	return b.Flush()
}

// traceContract is that of GPT-2 124M with room for long prompts.
func traceContract() *contract.Contract {
	dim := func(r contract.Role, size int64) contract.Dim { return contract.Dim{Role: r, Size: size} }
	c := &contract.Contract{
		Kind: "contract", SchemaVersion: contract.SchemaVersion, Layers: 12, Heads: 12, HeadDim: 64, Vocab: 50257, MaxPositions: 32768, Logits: "last",
		Inputs: []contract.Tensor{
			{Name: "input_ids", Kind: contract.KindIDs, Type: "int64", Dims: []contract.Dim{dim(contract.Batch, 0), dim(contract.Seq, 0)}},
			{Name: "attention_mask", Kind: contract.KindMask, Type: "int64", Dims: []contract.Dim{dim(contract.Batch, 0), dim(contract.Total, 0)}},
		},
	}
	for l := range c.Layers {
		for kind, name := range map[contract.Kind]string{contract.KindPastKey: "key", contract.KindPastValue: "value"} {
			c.Inputs = append(c.Inputs, contract.Tensor{Name: fmt.Sprintf("past_key_values.%d.%s", l, name), Kind: kind, Type: "float", Layer: l,
				Dims: []contract.Dim{dim(contract.Batch, 0), dim(contract.Static, 12), dim(contract.Past, 0), dim(contract.Static, 64)}})
		}
	}
	return c
}

// traceSide derives buckets from a trace and checks them against its demand.
func traceSide(args []string) error {
	c := traceContract()
	return scaled(args, func(path string) error {
		w := profiles.Workload{Trace: path, BatchMax: 8}
		if _, err := w.Open(profiles.TraceOptions{}, c.MaxPositions); err != nil {
			return err
		}
		p, err := profiles.Derive(c, w, profiles.Options{Strategy: "bucketed", MaxProfiles: 8})
		if err != nil {
			return err
		}
		if gaps := profiles.Check(c, p.Profiles, profiles.Demand(w), p.Reach); len(gaps) > 0 {
			return fmt.Errorf("%d gaps", len(gaps))
		}
		return nil
	})
}

// traceJSONSide reads the two lengths of each line with encoding/json.
func traceJSONSide(args []string) error { return scaled(args, traceJSON) }

func traceJSON(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r struct {
			Prompt int `json:"input_length"`
			New    int `json:"output_length"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		sum += r.Prompt + r.New
	}
	if sum == 0 {
		return fmt.Errorf("%s holds nothing", path)
	}
	return lines.Err()
}

// scaled answers the time of a run, times so many.
func scaled(args []string, run func(path string) error) error {
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return serve(func() (time.Duration, error) {
		start := time.Now()
		err := run(args[0])
		return time.Since(start) * time.Duration(times), err
	})
}

// tracePeakOf is the largest resident size of the command.
func tracePeakOf(contract, trace string) (figure, error) {
	cmd := exec.Command(binary, "profiles", "derive", contract, "--trace", trace, "--batch-max", "8", "--strategy", "bucketed", "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return figure{}, fmt.Errorf("deriving profiles from %s: %w", trace, err)
	}
	return within("trace-1m-peak", float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1000, tracePeak), nil
}
