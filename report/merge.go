package report

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// runNames name directories as briefly as tells them apart.
func runNames(dirs []string) []string {
	names := make([]string, len(dirs))
	for depth := 1; depth <= 6; depth++ {
		seen := map[string]bool{}
		for i, dir := range dirs {
			if path, err := filepath.Abs(dir); err == nil {
				dir = path
			}
			parts := strings.Split(filepath.ToSlash(filepath.Clean(dir)), "/")
			names[i] = strings.Join(parts[max(0, len(parts)-depth):], "/")
			seen[names[i]] = true
		}
		if len(seen) == len(dirs) {
			break
		}
	}
	return names
}

// merge joins the data of several directories. What only one page can show (plan,
// contract, calibration) is that of the first that has it.
func merge(all []*Data, names []string) *Data {
	if len(all) == 1 {
		return all[0]
	}
	out := &Data{Title: strings.Join(titles(all), ", "), CreatedBy: all[0].CreatedBy, Limits: map[string]gate.Limits{}}
	m := merger{out: out}
	for i, d := range all {
		m.add(d, names[i])
	}
	out.Warnings = append(out.Warnings, out.machineWarnings()...)
	return out
}

// titles are the titles that occur, each once.
func titles(all []*Data) []string {
	var some []string
	for _, d := range all {
		if d.Title != "" && !slices.Contains(some, d.Title) {
			some = append(some, d.Title)
		}
	}
	return some
}

// merger collects data, one directory after another.
type merger struct{ out *Data }

func (m merger) add(d *Data, name string) {
	first := len(m.out.Runs)
	for _, r := range d.Runs {
		r.Name = strings.TrimSuffix(name+"/"+r.Name, "/")
		m.out.Runs = append(m.out.Runs, r)
	}
	scenarios := m.scenarios(d.Scenarios, name)
	engines := m.engines(d, name, first)
	m.rows(d.Rows, engines, scenarios, name)
	if m.out.Plan == nil {
		m.out.Plan = d.Plan
	}
	if m.out.Contract == nil {
		m.out.Contract = d.Contract
	}
	if m.out.Calibration == nil {
		m.out.Calibration = d.Calibration
	}
	for _, q := range d.Quantized {
		q.Engine = or(engines[q.Engine], q.Engine)
		m.out.Quantized = append(m.out.Quantized, q)
	}
	for _, precision := range slices.Sorted(maps.Keys(d.Limits)) {
		if have, taken := m.out.Limits[precision]; taken && !maps.Equal(have, d.Limits[precision]) {
			m.out.Warnings = append(m.out.Warnings, fmt.Sprintf("%s has other limits for %s; those of the first directory are held", name, precision))
			continue
		}
		m.out.Limits[precision] = d.Limits[precision]
	}
	m.out.Asides = append(m.out.Asides, d.Asides...)
	for _, w := range d.Warnings {
		m.out.Warnings = append(m.out.Warnings, name+": "+w)
	}
}

// scenarios adds those that are new, under another name where one of that name has
// another shape, and tells the names.
func (m merger) scenarios(all []profiles.Scenario, run string) map[string]string {
	names := map[string]string{}
	for _, s := range all {
		was := s.Name
		at := slices.IndexFunc(m.out.Scenarios, func(o profiles.Scenario) bool { return o.Name == s.Name })
		if at >= 0 && m.out.Scenarios[at] != s {
			s.Name, at = run+"/"+s.Name, -1
		}
		if names[was] = s.Name; at < 0 {
			m.out.Scenarios = append(m.out.Scenarios, s)
		}
	}
	return names
}

// engines adds those that are new and tells the names. An engine is the same where
// it has one key or one file, on one machine, and one name or figures that complete each
// other; two of one name get their run's in front.
func (m merger) engines(d *Data, run string, first int) map[string]string {
	names := map[string]string{}
	for _, e := range d.Engines {
		was := e.Name
		e.Run += first
		at := slices.IndexFunc(m.out.Engines, func(o Engine) bool { return o.Name == e.Name && m.one(o, e) })
		if at < 0 {
			if at = m.renamed(d, e, first); at >= 0 {
				m.out.Warnings = append(m.out.Warnings, fmt.Sprintf("%s of %s is %s, by its key or its file; its figures stand under that name", was, run, m.out.Engines[at].Name))
			}
		}
		if at >= 0 {
			names[was] = m.out.Engines[at].Name
			if e.Idle == "" {
				m.out.Engines[at].Idle = ""
			}
			continue
		}
		for i, o := range m.out.Engines {
			if o.Name == e.Name {
				m.rename(i)
				e.Name = run + "/" + e.Name
			} else if o.Name == m.out.run(o).Name+"/"+e.Name {
				e.Name = run + "/" + e.Name
			}
		}
		names[was] = e.Name
		m.out.Engines = append(m.out.Engines, e)
	}
	return names
}

// one tells whether two entries are about one engine.
func (m merger) one(a, b Engine) bool {
	same := a.Manifest.Key != "" && a.Manifest.Key == b.Manifest.Key || a.Manifest.FileDigest != "" && a.Manifest.FileDigest == b.Manifest.FileDigest
	return same && m.out.alike(m.out.run(a), m.out.run(b))
}

// renamed is the engine of an earlier directory that e, of d, is under another name; -1
// where there is none or no single one. Who measured it twice wants to see both, and an
// engine beside itself is two in one directory: neither is joined.
func (m merger) renamed(d *Data, e Engine, first int) int {
	type key struct{ scenario, phase, name string }
	figures := func(all []rows.Row, engine string) map[key]bool {
		own := map[key]bool{}
		for _, r := range all {
			if r.Engine == engine && r.Name != "engine_bytes" {
				own[key{r.Scenario, r.Phase, r.Name}] = true
			}
		}
		return own
	}
	found := -1
	for i, o := range m.out.Engines {
		if o.Run >= first || !m.one(o, e) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	if found < 0 || slices.ContainsFunc(d.Engines, func(o Engine) bool {
		o.Run += first
		return o.Name != e.Name && m.one(o, e)
	}) {
		return -1
	}
	here := figures(d.Rows, e.Name)
	for k := range figures(m.out.Rows, m.out.Engines[found].Name) {
		if here[k] {
			return -1
		}
	}
	return found
}

// rename puts the run's name before an engine that is there already.
func (m merger) rename(i int) {
	e := &m.out.Engines[i]
	was, now := e.Name, m.out.run(*e).Name+"/"+e.Name
	e.Name = now
	for j := range m.out.Rows {
		if m.out.Rows[j].Engine == was {
			m.out.Rows[j].Engine = now
		}
	}
	for j := range m.out.Quantized {
		if m.out.Quantized[j].Engine == was {
			m.out.Quantized[j].Engine = now
		}
	}
}

// rows adds a directory's rows. A figure that is there already stays: two runs of
// one engine are for compare, not for a mean.
func (m merger) rows(all []rows.Row, engines, scenarios map[string]string, run string) {
	type key struct{ engine, scenario, phase, name string }
	of := func(r rows.Row) key { return key{r.Engine, r.Scenario, r.Phase, r.Name} }
	have := map[key]bool{}
	for _, r := range m.out.Rows {
		have[of(r)] = true
	}
	twice := map[string]bool{}
	for _, r := range all {
		r.Engine, r.Scenario = or(engines[r.Engine], r.Engine), or(scenarios[r.Scenario], r.Scenario)
		switch {
		case !have[of(r)]:
			m.out.Rows = append(m.out.Rows, r)
		case r.Name != "engine_bytes" && !twice[r.Engine]:
			twice[r.Engine] = true
			m.out.Warnings = append(m.out.Warnings, fmt.Sprintf("%s was measured again in %s; shown is the first. `trtforge compare` compares runs", r.Engine, run))
		}
	}
}

// machineWarnings say that figures are of several machines, and by what they differ.
func (d *Data) machineWarnings() []string {
	all := d.machines()
	if len(all) < 2 {
		return nil
	}
	first := d.Runs[all[0].runs[0]]
	var out []string
	for _, m := range all[1:] {
		r := d.Runs[m.runs[0]]
		why := "one of them does not say what it ran on"
		if first.Machine != nil && r.Machine != nil {
			why = strings.Join(first.Machine.Differs(r.Machine), "; ")
		}
		out = append(out, fmt.Sprintf("%s and %s are of different machines (%s): their times are shown side by side and never compared", first.Name, r.Name, why))
	}
	return out
}

// or is the first text that is not empty.
func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
