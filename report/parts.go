package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
)

// part is the evidence of engines that may stand in one picture: those of one model on
// one machine. A report of several has the parts folded, the largest model's open.
type part struct {
	Title             string // empty where there is one only
	Open              bool
	Accuracy          *picture
	Scores            []scoreLine
	Positions         *picture
	Latency           *picture
	Modes             []modePicture
	Throughput, Depth *picture
}

// parts are in the order of the models, the smallest first.
func (d *Data) parts() []part {
	var all []part
	of := d.apart()
	for i, one := range of {
		p := part{Title: one.title, Open: i == len(of)-1}
		p.Accuracy, p.Scores, p.Positions = one.data.accuracy(), one.data.scores(), one.data.positions()
		p.Latency, p.Modes = one.data.latency(), one.data.modes()
		p.Throughput, p.Depth = one.data.throughput(), one.data.depth()
		all = append(all, p)
	}
	return all
}

// some tells whether any part has what is asked for.
func some(all []part, has func(part) bool) bool { return slices.ContainsFunc(all, has) }

// titled are the data of a part.
type titled struct {
	title string
	data  *Data
}

// apart divides the data by model and machine; data of one of each stay whole.
func (d *Data) apart() []titled {
	engines := d.judged()
	var groups []string
	for _, e := range engines {
		if !slices.Contains(groups, e.Group) {
			groups = append(groups, e.Group)
		}
	}
	if len(groups) < 2 {
		return []titled{{"", d}}
	}
	size := map[string]int64{}
	for i, e := range engines {
		size[e.Group] = d.model(d.Engines[i]).Parameters
	}
	slices.SortStableFunc(groups, func(a, b string) int { return cmp.Compare(size[a], size[b]) })
	var all []titled
	for i, group := range groups {
		title := group
		if n := size[group]; n > 0 {
			title += fmt.Sprintf(" · %s parameters", large(n))
		}
		all = append(all, titled{title, d.only(group, engines, fmt.Sprintf("m%d-", i))})
	}
	return all
}

// only is the data of a group's engines, which lose the run's name before theirs
// where they are told apart without it.
func (d *Data) only(group string, engines []gate.Engine, prefix string) *Data {
	out := *d
	out.prefix, out.Engines, out.Verdicts, out.Rows = prefix, nil, nil, nil
	names, taken := map[string]string{}, map[string]bool{}
	for i, e := range d.Engines {
		if engines[i].Group != group {
			continue
		}
		name := strings.TrimPrefix(e.Name, d.run(e).Name+"/")
		if taken[name] {
			name = e.Name
		}
		names[e.Name], taken[name] = name, true
		e.Name = name
		out.Engines = append(out.Engines, e)
	}
	for _, v := range d.Verdicts {
		if name, in := names[v.Engine]; in {
			v.Engine = name
			out.Verdicts = append(out.Verdicts, v)
		}
	}
	one := len(d.models()) < 2 // noise is of a model, and its rows do not say of which
	for _, r := range d.Rows {
		if name, in := names[r.Engine]; in || one && isNoise(r.Engine) {
			r.Engine = or(name, r.Engine)
			out.Rows = append(out.Rows, r)
		}
	}
	return &out
}
