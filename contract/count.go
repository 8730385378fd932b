package contract

import "fmt"

// count fills in layers, heads and head size, and sees that nothing is there
// twice and that every layer has its cache tensors, all alike.
func (r *reader) count() {
	seen := map[string]string{}
	counts := map[Kind]int{}
	r.all(func(t *Tensor, _ bool) {
		counts[t.Kind]++
		if t.Kind == KindOther {
			return
		}
		id := fmt.Sprint(t.Kind, " of layer ", t.Layer)
		if other, twice := seen[id]; twice {
			r.bad("%s: it is %s, and so is %s", t.Name, id, other)
		}
		seen[id] = t.Name
		if len(t.Dims) == 4 {
			r.alike(t)
		}
	})
	for _, k := range []Kind{KindIDs, KindLogits} {
		if counts[k] == 0 && r.decoder {
			r.bad("no tensor of kind %s: none is called %s, and the graph uses none as such", k, usual[k])
		}
	}
	r.c.Layers = counts[KindPastKey]
	r.complete(seen, counts)
}

// usual are the names to look for.
var usual = map[Kind]string{
	KindIDs: "input_ids", KindLogits: "logits",
	KindPastKey: "past_key_values.%d.key", KindPastValue: "past_key_values.%d.value",
	KindPresentKey: "present.%d.key", KindPresentValue: "present.%d.value",
}

// alike compares a cache tensor with the first: heads, head size and type.
func (r *reader) alike(t *Tensor) {
	f := r.cache
	if f == nil {
		r.cache = t
		r.c.Heads, r.c.HeadDim = int(t.Dims[1].Size), int(t.Dims[3].Size)
		return
	}
	if t.Dims[1].Size != f.Dims[1].Size || t.Dims[3].Size != f.Dims[3].Size {
		r.bad("%s: %d heads of %d, %s has %d of %d", t.Name, t.Dims[1].Size, t.Dims[3].Size, f.Name, f.Dims[1].Size, f.Dims[3].Size)
	}
	if t.Type != f.Type {
		r.bad("%s: it is %s, %s is %s", t.Name, t.Type, f.Name, f.Type)
	}
}

// complete names the cache tensors that some layer lacks. A graph may give its
// cache without taking one (optimum's first half of a split decoder).
func (r *reader) complete(seen map[string]string, counts map[Kind]int) {
	kinds := []Kind{KindPastKey, KindPastValue, KindPresentKey, KindPresentValue}
	if !r.cached {
		kinds = kinds[2:]
	}
	layers := 0
	for _, k := range kinds {
		layers = max(layers, counts[k])
	}
	for _, k := range kinds {
		for layer := range layers {
			if _, ok := seen[fmt.Sprint(k, " of layer ", layer)]; !ok {
				r.bad("no tensor of kind %s for layer %d of %d: none is called "+usual[k], k, layer, layers, layer)
			}
		}
	}
}
