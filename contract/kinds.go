package contract

import (
	"cmp"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// kinds says what each tensor is for: what the nodes do with it, and where they
// do not say, its name.
func (r *reader) kinds() {
	graph := make([]Kind, len(r.c.Inputs))
	vocab := r.heads()
	r.indices(graph, vocab)
	r.caches(graph)
	for i := range r.c.Inputs {
		r.settle(&r.c.Inputs[i], true, graph[i])
	}
	out := r.produced(vocab, graph)
	for i := range r.c.Outputs {
		r.settle(&r.c.Outputs[i], false, out[i])
	}
	for _, t := range r.c.Inputs {
		r.cached = r.cached || t.Kind == KindPastKey || t.Kind == KindPastValue
		r.static = r.static || t.Kind == KindCachePosition
	}
	r.number()
	ids, logits := r.has(r.c.Inputs, KindIDs), r.has(r.c.Outputs, KindLogits)
	r.decoder = ids && logits || r.cached
	if !r.decoder && logits || !r.cached && r.labels(vocab) { // of an image, or of a few classes
		r.decoder = false
		for i := range r.c.Outputs {
			if t := &r.c.Outputs[i]; t.Kind == KindLogits {
				t.Kind, t.Source = KindOther, ""
			}
		}
	}
}

// labels tells whether what is called logits is not over the tokens that the
// graph knows.
func (r *reader) labels(vocab map[int]int64) bool {
	for i, t := range r.c.Outputs {
		if t.Kind != KindLogits || t.Source != FromName || vocab[i] == 0 {
			continue
		}
		for k, in := range r.c.Inputs {
			if in.Kind == KindIDs && len(r.flow.tables[k]) > 0 {
				return !slices.ContainsFunc(r.flow.tables[k], func(t table) bool { return t.rows == vocab[i] })
			}
		}
	}
	return false
}

func (r *reader) has(all []Tensor, k Kind) bool {
	return slices.ContainsFunc(all, func(t Tensor) bool { return t.Kind == k })
}

// heads are the sizes of the last axis of outputs that are products with weights:
// one is the vocabulary.
func (r *reader) heads() map[int]int64 {
	all := map[int]int64{}
	for i, t := range r.c.Outputs {
		dims := r.flow.trace.Dims(t.Name)
		n, ok := r.flow.number[t.Name]
		if !ok || len(t.Dims) != 3 || len(dims) != 3 || !r.flow.facts[n].head {
			continue
		}
		if v, fixed := dims[2].Value(); fixed {
			all[i] = v
		}
	}
	return all
}

// fewRows is the size of a table that is of segments ("token types"), not of
// positions: no model is that short.
const fewRows = 8

// indices tells the integer inputs apart. Token ids select rows of the table that
// is as long as the vocabulary of an output, or of the longest; other inputs that
// select rows are positions, and so is what becomes an angle. What else reaches a
// softmax is a mask.
func (r *reader) indices(kinds []Kind, vocab map[int]int64) {
	ids, most, twice := -1, int64(0), false
	of := func(i int) int64 {
		rows := int64(0)
		for _, t := range r.flow.tables[i] {
			rows = max(rows, t.rows)
		}
		for _, v := range vocab {
			if slices.ContainsFunc(r.flow.tables[i], func(t table) bool { return t.rows == v }) {
				return maxSize + 1
			}
		}
		return rows
	}
	for i, t := range r.c.Inputs {
		if !integer(t.Type) || r.flow.angle[i] {
			continue
		}
		switch rows := of(i); {
		case rows > most:
			ids, most, twice = i, rows, false
		case rows == most && rows > 0:
			twice = true
		}
	}
	if most <= maxSize { // no vocabulary says which, so a name may
		for i, t := range r.c.Inputs {
			if k, _ := kindOf(t.Name, naming[true]); k == KindIDs && len(r.flow.tables[i]) > 0 {
				ids, twice = i, false
			}
		}
	}
	for i, t := range r.c.Inputs {
		n := r.flow.number[t.Name]
		switch {
		case !integer(t.Type):
		case r.flow.column[i]:
			kinds[i] = KindCachePosition
		case r.flow.angle[i]:
			kinds[i] = KindPositions
		case i == ids && !twice:
			kinds[i] = KindIDs
		case len(r.flow.tables[i]) > 0 && of(i) >= fewRows && !twice:
			kinds[i] = KindPositions
		case len(r.flow.tables[i]) == 0 && r.flow.facts[n].score && len(t.Dims) == 2:
			kinds[i] = KindMask
		}
	}
}

func integer(t string) bool { return t == onnx.Int64.String() || t == onnx.Int32.String() }

// caches tells keys from values by the side of attention that takes them.
func (r *reader) caches(kinds []Kind) {
	for _, p := range r.flow.pairs {
		x, y := r.flow.facts[p.present], r.flow.facts[r.flow.root(p.present)]
		switch key, value := earliest(x.key, y.key) > 0, earliest(x.content, y.content) > 0; {
		case key && !value:
			kinds[p.past] = KindPastKey
		case value && !key:
			kinds[p.past] = KindPastValue
		}
	}
}

// produced are the kinds of outputs.
func (r *reader) produced(vocab map[int]int64, inputs []Kind) []Kind {
	kinds := make([]Kind, len(r.c.Outputs))
	rows := map[int64]bool{}
	for i, k := range inputs {
		for _, t := range r.flow.tables[i] {
			rows[t.rows] = rows[t.rows] || k == KindIDs
		}
	}
	become := map[int]Kind{}
	for _, p := range r.flow.pairs {
		become[p.present] = map[Kind]Kind{KindPastKey: KindPresentKey, KindPastValue: KindPresentValue}[inputs[p.past]]
	}
	found := 0
	for i, t := range r.c.Outputs {
		n := r.flow.number[t.Name]
		x, y := r.flow.facts[n], r.flow.facts[r.flow.root(n)]
		key, value := earliest(x.key, y.key) > 0, earliest(x.content, y.content) > 0
		switch {
		case become[n] != "":
			kinds[i] = become[n]
		case len(t.Dims) == 4 && key != value && key:
			kinds[i] = KindPresentKey
		case len(t.Dims) == 4 && key != value:
			kinds[i] = KindPresentValue
		case vocab[i] > 0 && rows[vocab[i]]:
			kinds[i] = KindLogits
			found++
		}
	}
	for i, k := range kinds {
		if k == KindLogits && found > 1 {
			kinds[i] = "" // one of several heads: names decide
		}
	}
	return kinds
}

// settle holds the kind that a name says against the graph's.
func (r *reader) settle(t *Tensor, input bool, graph Kind) {
	named, layer := kindOf(t.Name, naming[input])
	switch {
	case named == KindOther && graph == "":
		return
	case named == KindOther:
		t.Kind, t.Source = graph, FromGraph
	case graph == "" || graph == named || graph == KindMask && named == KindPositions:
		t.Kind, t.Source, t.Layer = named, FromName, layer
		if graph == named {
			t.Source = FromGraph
		}
	default:
		r.bad("%s: it is called like %s, and the graph uses it as %s: rename it", t.Name, named, graph)
		t.Kind, t.Source, t.Layer = named, FromName, layer
	}
	if allowed(t.Kind, t.Type) {
		return
	}
	if t.Source == FromName || named == t.Kind {
		r.bad("%s: its type is %s, which %s never has", t.Name, t.Type, t.Kind)
		return
	}
	t.Kind, t.Source = KindOther, ""
}

// number gives cache tensors without a number in their name the one of their
// layer: keys and values each come in the order of the nodes that take them, and
// a present has the layer of its past.
func (r *reader) number() {
	for _, k := range []Kind{KindPresentKey, KindPresentValue} {
		r.order(k)
	}
	for _, p := range r.flow.pairs {
		past := &r.c.Inputs[p.past]
		for i := range r.c.Outputs {
			if out := &r.c.Outputs[i]; r.flow.number[out.Name] == p.present && !numbered(past.Name, true) {
				past.Layer = out.Layer
			}
		}
	}
}

func numbered(name string, input bool) bool {
	k, _ := kindOf(name, naming[input])
	return k != KindOther
}

func (r *reader) order(k Kind) {
	var all []*Tensor
	for i := range r.c.Outputs {
		if t := &r.c.Outputs[i]; t.Kind == k {
			if numbered(t.Name, false) {
				return // names count the layers
			}
			all = append(all, t)
		}
	}
	at := func(t *Tensor) int {
		n := r.flow.number[t.Name]
		x, y := r.flow.facts[n], r.flow.facts[r.flow.root(n)]
		if k == KindPresentKey {
			return earliest(x.key, y.key)
		}
		return earliest(x.content, y.content)
	}
	slices.SortStableFunc(all, func(a, b *Tensor) int { return cmp.Compare(at(a), at(b)) })
	for i, t := range all {
		t.Layer = i
	}
}
