package engine

import (
	"cmp"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/profiles"
)

// Comparison is how one engine becomes another, by their manifests.
type Comparison struct {
	Facts    []Changed     `json:"facts"`  // what is said of them: backend, precision, builder, inputs
	Layers   []Counted     `json:"layers"` // classes of layers whose number differs
	Profiles profiles.Diff `json:"profiles"`
	Figures  []Figure      `json:"figures"` // sizes, memory and times, equal ones too
}

// Changed is a fact in which two engines differ; a side that lacks it is empty.
type Changed struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Counted is how many layers of a class and type two engines have.
type Counted struct {
	Layer string `json:"layer"`
	A     int    `json:"a"`
	B     int    `json:"b"`
}

// Figure is a number of both engines.
type Figure struct {
	What string  `json:"what"`
	Unit string  `json:"unit"` // bytes or ms
	A    float64 `json:"a"`
	B    float64 `json:"b"`
}

// Same tells whether the engines are alike in all but what two builds need not share.
func (c Comparison) Same() bool {
	return len(c.Facts) == 0 && len(c.Layers) == 0 && c.Profiles.Same()
}

// Compare compares two manifests.
func Compare(a, b *Manifest) Comparison {
	c := Comparison{
		Facts: facts(a, b), Layers: []Counted{}, Profiles: profiles.Compare(a.Profiles, b.Profiles, profiles.Partial{}),
	}
	layers := maps.Clone(a.Layers)
	if layers == nil {
		layers = map[string]int{}
	}
	maps.Copy(layers, b.Layers)
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		if a.Layers[name] != b.Layers[name] {
			c.Layers = append(c.Layers, Counted{name, a.Layers[name], b.Layers[name]})
		}
	}
	slices.SortStableFunc(c.Layers, func(x, y Counted) int { return cmp.Compare(y.far(), x.far()) })
	c.Figures = figures(a, b)
	return c
}

// far is by how many layers the two differ.
func (c Counted) far() int { return max(c.A-c.B, c.B-c.A) }

func facts(a, b *Manifest) []Changed {
	all := []Changed{}
	for _, f := range []Changed{
		{"backend", a.Backend, b.Backend},
		{"precision", string(a.Precision), string(b.Precision)},
		{"achieved", string(a.Achieved), string(b.Achieved)},
		{"target", a.Target, b.Target},
		{"builder", a.Builder, b.Builder},
		{"model", a.ModelDigest, b.ModelDigest},
		{"kv_scale", a.KVScale, b.KVScale},
		{"adopted", yes(a.Adopted), yes(b.Adopted)},
	} {
		if f.A != f.B {
			all = append(all, f)
		}
	}
	return all
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// figures are the numbers that both manifests have.
func figures(a, b *Manifest) []Figure {
	all := []Figure{{"engine", "bytes", float64(a.Bytes), float64(b.Bytes)}}
	add := func(what, unit string, x, y float64) {
		if x > 0 && y > 0 {
			all = append(all, Figure{what, unit, x, y})
		}
	}
	add("build", "ms", a.Measured.BuildMS, b.Measured.BuildMS)
	add("peak memory of the build", "bytes", float64(a.Measured.PeakBytes), float64(b.Measured.PeakBytes))
	if a.Memory == nil || b.Memory == nil {
		return all
	}
	add("weights", "bytes", float64(a.Memory.WeightsBytes), float64(b.Memory.WeightsBytes))
	for _, p := range a.Memory.Profiles {
		for _, q := range b.Memory.Profiles {
			if p.Profile == q.Profile {
				add("activations of "+p.Profile, "bytes", float64(p.ActivationBytes), float64(q.ActivationBytes))
			}
		}
	}
	return all
}
