package contract

import "github.com/trtforge/trtforge/onnx/shape"

// logits decides whether logits come for all positions or the last: by the size
// of their middle dimension, as the file states it and as the nodes make it.
// Metadata may only confirm that, or decide where both are silent.
func (r *reader) logits() {
	said, stated := r.meta(metaLogits)
	if stated && said != logitsAll && said != logitsLast {
		r.bad("metadata %s is %q, want all or last", metaLogits, said)
		return
	}
	for i := range r.c.Outputs {
		t := &r.c.Outputs[i]
		if t.Kind != KindLogits || len(t.Dims) != 3 {
			continue
		}
		r.c.Logits = r.rows(t)
		switch {
		case r.c.Logits == "" && stated:
			r.c.Logits = said
		case r.c.Logits == "":
			r.bad("%s: dimension 1 has no name: is it one position, or all of them? State %s in the metadata", t.Name, metaLogits)
		case stated && said != r.c.Logits:
			r.bad("%s: metadata says logits of %s, its shape says %s", t.Name, said, r.c.Logits)
		}
		r.c.Vocab = int(t.Dims[2].Size)
	}
}

// rows is which positions logits have rows for; "" where nothing says.
func (r *reader) rows(t *Tensor) string {
	middle := shape.Size{}
	if dims := r.flow.trace.Dims(t.Name); len(dims) == 3 {
		middle = dims[1]
	}
	n, fixed := middle.Value()
	switch d := t.Dims[1]; {
	case d.Role == Static && d.Size == 1:
		return logitsLast
	case d.Symbol == "" && d.Size == 0 && (fixed && n == 1 || middle.Known() && middle.Equal(r.sizes[Seq].AtMost(1))):
		t.Dims[1] = Dim{Role: Static, Size: 1, Source: FromGraph}
		return logitsLast
	case d.Symbol != "" || d.Size > 0 || r.measured(middle) == Seq:
		return logitsAll
	}
	return ""
}
