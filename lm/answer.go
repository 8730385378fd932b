package lm

import (
	"encoding/binary"
	"fmt"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
)

// answer is where a run writes its logits.
type answer struct {
	bytes  []byte
	typ    onnx.DType
	logits Logits // its Data views bytes, or holds them converted
	room   *room  // where answers share memory; nil: each has its own
}

// room is memory for the logits of passes of which only the last is ever read.
type room struct {
	bytes []byte
	half  []float32 // of logits in float16, converted
}

// take is n bytes, those of earlier takers where they suffice.
func (r *room) take(n int64) []byte {
	if r == nil {
		return aligned(n)
	}
	if int64(len(r.bytes)) < n {
		r.bytes = aligned(n)
	}
	return r.bytes[:n]
}

// convert is n numbers, likewise.
func (r *room) convert(n int64) []float32 {
	if r == nil {
		return make([]float32, n)
	}
	if int64(len(r.half)) < n {
		r.half = make([]float32, n)
	}
	return r.half[:n]
}

// size makes room for logits of that shape: [batch, seq, vocab], or [batch,
// vocab] where the graph answers the last position without a dimension for it.
func (a *answer) size(t contract.Tensor, shape []int64, batch int) error {
	typ, err := dtype(t.Type)
	if err != nil {
		return err
	}
	if typ != onnx.Float32 && typ != onnx.Float16 {
		return fmt.Errorf("%s: logits of type %s cannot be read, want float or float16", t.Name, typ)
	}
	n, err := onnx.Elements(shape)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	rank := len(shape)
	if rank < 2 || rank > 3 || n == 0 {
		return fmt.Errorf("%s: shape %v is not [batch, seq, vocab]", t.Name, shape)
	}
	vocab := int(shape[rank-1])
	need := n * typ.Bits() / 8
	if int64(len(a.bytes)) == need && a.typ == typ {
		return nil // a step like the last one: it writes to the same place
	}
	a.bytes, a.typ = a.room.take(need), typ
	a.logits = Logits{Batch: batch, Seq: int(n) / batch / vocab, Vocab: vocab}
	if typ == onnx.Float32 {
		a.logits.Data = floats(a.bytes, int(n))
	} else {
		a.logits.Data = a.room.convert(n)
	}
	return nil
}

// read gives the logits of the run that has just ended.
func (a *answer) read() Logits {
	if a.typ == onnx.Float16 {
		for i := range a.logits.Data {
			a.logits.Data[i] = float16.Frombits(binary.LittleEndian.Uint16(a.bytes[2*i:])).Float32()
		}
	}
	return a.logits
}
