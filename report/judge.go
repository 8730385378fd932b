package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
)

// Judge holds the engines to the limits and finds what to deploy: it fills
// Verdicts, Choices and Matrix from everything else.
func (d *Data) Judge() {
	engines := d.judged()
	d.Verdicts = append(gate.Evaluate(engines, d.Limits, d.Rows), gate.Flaws(engines, d.Rows)...)
	d.Choices = gate.Recommend(engines, d.Verdicts, d.Scenarios, d.Rows)
	d.Matrix = gate.NewMatrix(engines, d.Verdicts, d.Scenarios, d.Rows)
}

// judged are the engines as gates see them.
func (d *Data) judged() []gate.Engine {
	machines, models := d.machines(), d.models()
	var all []gate.Engine
	for _, e := range d.Engines {
		features := e.Manifest.Builder // ortcpu writes down what it was built for
		if m := d.run(e).Machine; m != nil && len(m.Features) > 0 {
			features = strings.Join(m.Features, " ")
		}
		g := gate.Of(e.Name, e.Manifest, e.Idle, features)
		var group []string
		if len(models) > 1 {
			group = append(group, d.model(e).Name)
		}
		if len(machines) > 1 {
			group = append(group, machines[d.machineOf(e.Run, machines)].label)
		}
		g.Group = strings.Join(group, " on ")
		all = append(all, g)
	}
	return all
}

// models are the models that engines were made of, smallest first.
func (d *Data) models() []Model {
	var all []Model
	for _, e := range d.Engines {
		m := d.model(e)
		if !slices.ContainsFunc(all, func(o Model) bool { return o.same(m) }) {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b Model) int { return int(max(min(a.Parameters-b.Parameters, 1), -1)) })
	return all
}

// same tells whether two runs are about one model.
func (m Model) same(o Model) bool {
	if m.Digest != "" && o.Digest != "" {
		return m.Digest == o.Digest
	}
	return m.Name == o.Name
}

// machine is a machine, with the runs on it.
type machine struct {
	label string
	runs  []int
}

// machines are those that runs were made on. Runs that do not say are on one.
func (d *Data) machines() []machine {
	var all []machine
	for i, r := range d.Runs {
		at := slices.IndexFunc(all, func(m machine) bool { return d.alike(d.Runs[m.runs[0]], r) })
		if at < 0 {
			all = append(all, machine{label: r.machineLabel()})
			at = len(all) - 1
		}
		all[at].runs = append(all[at].runs, i)
	}
	for i := range all {
		for j := range all[:i] {
			if all[i].label == all[j].label {
				all[i].label = fmt.Sprintf("%s (%d)", all[i].label, i+1)
				break
			}
		}
	}
	return all
}

// alike tells whether figures of two runs may be compared as of one machine.
func (d *Data) alike(a, b Run) bool {
	if a.Machine == nil || b.Machine == nil {
		return a.Machine == b.Machine
	}
	return len(a.Machine.Differs(b.Machine)) == 0
}

func (d *Data) machineOf(run int, all []machine) int {
	return max(slices.IndexFunc(all, func(m machine) bool { return slices.Contains(m.runs, run) }), 0)
}

// machineLabel names a machine as briefly as people do.
func (r Run) machineLabel() string {
	switch m := r.Machine; {
	case m == nil:
		return "a machine not written down"
	case m.GPU != "":
		return m.GPU
	case m.CPU != "":
		return fmt.Sprintf("%s, %d threads", m.CPU, m.Threads)
	case m.Host != "":
		return m.Host
	}
	return "an unnamed machine"
}
