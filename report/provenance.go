package report

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
)

// runFacts are where the figures of one run come from.
type runFacts struct {
	Name, Command string
	Tables        []factTable
}

// factTable is a titled list of names and values.
type factTable struct {
	Title string
	Facts []factLine
}

// factLine is a fact whose value may be shown in part.
type factLine struct {
	Fact
	Full string // the whole of a digest; empty where Value is whole
}

// digest is a sha256 in hexadecimal.
var digest = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)

// runFacts are what each run says of itself; a run that says nothing is left out.
func (d *Data) runFacts() []runFacts {
	var all []runFacts
	for i, r := range d.Runs {
		f := runFacts{Name: r.Name, Command: r.Command}
		add := func(title string, facts []Fact) {
			t := factTable{Title: title}
			for _, fact := range facts {
				l := factLine{Fact: fact}
				if digest.MatchString(fact.Value) {
					l.Full, l.Value = fact.Value, short(fact.Value)
				}
				if fact.Value != "" {
					t.Facts = append(t.Facts, l)
				}
			}
			if len(t.Facts) > 0 {
				f.Tables = append(f.Tables, t)
			}
		}
		add("Model", d.modelFacts(r.Model, i == 0))
		add("Inputs", r.Inputs)
		add("Versions", r.Versions)
		add("Machine", machineFacts(r.Machine))
		add("Files", r.files())
		if f.Command != "" || len(f.Tables) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// files are the digests of what holds the run's figures, and who wrote it when.
func (r Run) files() []Fact {
	facts := []Fact{{"made by", r.Author}, {"made on", r.Created}}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		facts = append(facts, Fact{name, r.Files[name]})
	}
	return facts
}

// machineFacts leaves out what a machine does not tell.
func machineFacts(m *bench.Machine) []Fact {
	if m == nil {
		return nil
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return count(int64(n))
	}
	bytes := func(n int64) string {
		if n == 0 {
			return ""
		}
		return size(float64(n))
	}
	facts := []Fact{
		{"Processor", m.CPU}, {"Features", strings.Join(m.Features, " ")}, {"Cores", number(m.Cores)}, {"Threads used", number(m.Threads)},
		{"Memory", bytes(m.Memory)}, {"System", strings.TrimSpace(m.OS + " " + m.Kernel)}, {"Governor", m.Governor}, {"Turbo", m.Turbo}, {"Virtual", m.Virtual},
		{"Load at the start", ""}, {"GPU", or(m.GPU, m.NoGPU)}, {"GPU memory", bytes(m.GPUMemory)}, {"Compute capability", m.Compute}, {"Driver", m.Driver}, {"CUDA", m.CUDA},
	}
	if m.Load > 0 {
		facts[9].Value = fmt.Sprintf("%.2f", m.Load)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		facts = append(facts, Fact{name, m.Versions[name]})
	}
	return facts
}

// modelFacts leaves out what is not known. The contract is that of the first run.
func (d *Data) modelFacts(m Model, first bool) []Fact {
	c := d.Contract
	if !first {
		c = nil
	}
	facts := []Fact{{"Name", m.Name}}
	number := func(name string, n int64, show func(int64) string) {
		if n > 0 {
			facts = append(facts, Fact{name, show(n)})
		}
	}
	number("Parameters", m.Parameters, large)
	number("Weights as exported", m.Bytes, func(n int64) string { return size(float64(n)) })
	if c != nil {
		number("Layers", int64(c.Layers), count)
		number("Heads", int64(c.Heads), count)
		number("Vocabulary", int64(c.Vocab), count)
	}
	number("Hidden size", int64(m.Hidden), count)
	number("Positions", int64(m.Positions), count)
	if c != nil && c.Capacity() > 0 {
		facts = append(facts, Fact{"Cache", fmt.Sprintf("static, %s columns, %s a row from the first token; every step attends over all of it",
			count(c.Capacity()), size(float64(c.BufferBytes(1))))})
	}
	return append(facts, Fact{"Digest", m.Digest})
}
