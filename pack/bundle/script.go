package bundle

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/trtexec"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

//go:embed build.sh
var template string

// safe is what an argument may be made of: names of inputs are written into a
// script, and a graph comes from anywhere.
var safe = regexp.MustCompile(`^[A-Za-z0-9_.,:=/\-+@\[\]]+$`)

// script is build.sh for a request.
func script(r engine.Request) (string, error) {
	build, err := trtexec.BundleArguments(r, modelFile, resultDir)
	if err != nil {
		return "", err
	}
	var times []string
	for i, p := range r.Plan.Profiles {
		args := []string{"--loadEngine=" + resultDir + "/engine.plan", fmt.Sprintf("--useProfile=%d", i), "--shapes=" + shapes(p),
			"--noDataTransfers", "--warmUp=500", "--duration=3", fmt.Sprintf("--exportTimes=%s/times-%d.json", resultDir, i)}
		line, err := quoted(args)
		if err != nil {
			return "", err
		}
		times = append(times, logged(line, fmt.Sprintf("%s/profile-%d.log", resultDir, i)))
	}
	line, err := quoted(build)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("@NAME@", nameOf(r), "@BUILD@", logged("$typed "+line, resultDir+"/"+trtexec.LogFile), "@TIMES@", strings.Join(times, "\n")).Replace(template), nil
}

// logged is a line that runs trtexec; where that fails, it shows the log's end.
func logged(args, log string) string {
	return fmt.Sprintf(`"$trtexec" %s > %s 2>&1 || { tail -n 20 %s >&2; exit 5; }`, args, log, log)
}

// nameOf is a request's name as a comment holds it.
func nameOf(r engine.Request) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, r.Name)
}

// shapes are a profile's optima as trtexec reads them.
func shapes(p profiles.Profile) string {
	var all []string
	for _, r := range p.Inputs {
		var dims []string
		for _, d := range r.Opt {
			dims = append(dims, fmt.Sprint(d))
		}
		all = append(all, r.Input+":"+strings.Join(dims, "x"))
	}
	return strings.Join(all, ",")
}

// quoted writes arguments for a shell. What would need more than quotes is refused.
func quoted(args []string) (string, error) {
	words := make([]string, len(args))
	for i, a := range args {
		if !safe.MatchString(a) {
			return "", fault.New(fault.Input, "writing a script with", a, "it holds characters that a shell could read otherwise", "rename the inputs of the graph")
		}
		words[i] = "'" + a + "'"
	}
	return strings.Join(words, " "), nil
}
