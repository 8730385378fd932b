// Command tr118 repeats the study that trtforge answers, on whatever machine it is
// started: the study's scenarios over a family of GPT-2s, its modes and one more,
// every backend that the machine has, and what the study lost set against it.
//
//	go run ./examples/tr118            all of it, 3,888 runs
//	go run ./examples/tr118 --quick    a minute's worth, for CI
//
// README.md says what it shows and how long it takes.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
)

//go:embed published.json
var publishedJSON []byte

func main() {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		all := jobs.All()
		all[ortcpu.JobOptimise] = ortcpu.OptimiseJob
		os.Exit(ort.Serve(all))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tr118:", err)
		os.Exit(fault.Exit(err))
	}
}

// run is the command as a function of its arguments.
func run(ctx context.Context, args []string, out, talk io.Writer) error {
	s, err := parse(args, talk)
	if err != nil {
		return err
	}
	w, err := open(s, talk)
	if err != nil {
		return err
	}
	w.command = strings.Join(append([]string{"go run ./examples/tr118"}, args...), " ")
	return errors.Join(w.run(ctx, out), w.close())
}

// parse reads the flags and the study that they narrow.
func parse(args []string, talk io.Writer) (*study, error) {
	f := flag.NewFlagSet("tr118", flag.ContinueOnError)
	f.SetOutput(talk)
	file := f.String("study", "examples/tr118/study.toml", "the study's file")
	short := f.Bool("quick", false, "run what the file's [quick] says: a minute's worth")
	dir := f.String("o", "", "output directory (default: the file's)")
	models := f.String("models", "", "comma-separated: only these")
	scenarios := f.String("scenarios", "", "comma-separated: only these")
	engines := f.String("engines", "", "comma-separated: these instead of the file's; torch-bf16 and torch-compile can be had")
	modes := f.String("modes", "", "comma-separated: only these of prefill, uncached, cached")
	rtx := f.Bool("rtx", false, "build TensorRT-RTX plans, too, which a GPU can run: five minutes more a large model")
	repetitions := f.Int("repetitions", 0, "timed requests of each engine, scenario and mode (default: the file's)")
	if err := f.Parse(args); err != nil {
		return nil, fault.Wrap(fault.Usage, "", "", err, "")
	}
	s, err := readStudy(*file)
	if err != nil {
		return nil, err
	}
	if *short {
		s.Measure.Repetitions, s.Measure.Rounds = s.Quick.Repetitions, s.Quick.Rounds
		if err := s.narrow(s.Quick.Models, s.Quick.Scenarios); err != nil {
			return nil, err
		}
	}
	if err := s.narrow(list(*models), list(*scenarios)); err != nil {
		return nil, err
	}
	if *repetitions > 0 {
		s.Measure.Repetitions = *repetitions
	}
	for into, flag := range map[*[]string]string{&s.Measure.Engines: *engines, &s.Measure.Modes: *modes} {
		if all := list(flag); all != nil {
			*into = all
		}
	}
	s.RTX = s.RTX || *rtx
	if *dir != "" {
		s.Output.Dir = *dir
	}
	return s, fault.Wrap(fault.Usage, "", "", s.check(), "")
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// run makes the family, proves the profiles, measures and reports.
func (w *workshop) run(ctx context.Context, out io.Writer) error {
	f := &findings{study: w.study, published: w.published, Leak: w.leak(), Command: w.command}
	for _, m := range w.study.Models {
		one, err := w.make(ctx, m)
		if err != nil {
			return err
		}
		proved, plans, err := proveOurs(one, w.study.Workload.Scenarios)
		if err != nil {
			return err
		}
		f.Ours, one.Plans = append(f.Ours, proved...), plans
		got, err := w.measure(ctx, one)
		if err != nil {
			return err
		}
		f.Outcomes = append(f.Outcomes, got)
	}
	f.Machine = &f.Outcomes[0].Machine
	return w.report(f, out)
}
