package contract

import (
	"strconv"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// positions finds the longest past + seq: what the metadata say, else the
// number of rows of the table that position_ids index. A graph with neither
// (rotary positions that are computed) states no limit. A buffer that is shorter
// is a limit too.
func (r *reader) positions() {
	r.stated()
	if n := int(r.c.Capacity()); n > 0 && (r.c.MaxPositions == 0 || n < r.c.MaxPositions) {
		r.c.MaxPositions = n
	}
}

// stated is the limit that positions have, however long a buffer is.
func (r *reader) stated() {
	if said, ok := r.meta(metaPositions); ok {
		n, err := strconv.Atoi(said)
		if err != nil || n < 1 {
			r.bad("metadata %s is %q, want a number of positions", metaPositions, said)
			return
		}
		r.c.MaxPositions = n
		return
	}
	for _, t := range r.c.Inputs {
		if t.Kind == KindPositions {
			r.c.MaxPositions = r.rows(t.Name)
		}
	}
}

// moves are the operators that pass indices on unchanged.
var moves = map[string]bool{
	"Cast": true, "Identity": true, "Reshape": true, "Unsqueeze": true, "Squeeze": true, "Expand": true, "Flatten": true,
}

// rows is the size of the smallest table that the indices called name, or what
// they are reshaped into, select rows of; 0 where there is none. Nodes come in
// topological order.
func (r *reader) rows(name string) int {
	same := map[string]bool{name: true}
	least := 0
	for _, n := range r.m.Graph().GetNode() {
		switch {
		case moves[n.GetOpType()] && len(n.Input) > 0 && same[n.Input[0]] && len(n.Output) > 0:
			same[n.Output[0]] = true
		case n.GetOpType() == "Gather" && len(n.Input) == 2 && same[n.Input[1]]:
			if size := r.table(n); size > 0 && (least == 0 || size < least) {
				least = size
			}
		}
	}
	return least
}

func (r *reader) table(gather *onnxpb.NodeProto) int {
	w := r.m.Weight(gather.Input[0])
	if w == nil || len(w.Dims) < 2 {
		return 0
	}
	return int(w.Dims[0])
}
