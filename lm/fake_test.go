package lm

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
)

// fakeSession is no model: it is a few lines of Go that answer like one. Each
// layer's key remembers token and position, each value the token twice, and the
// logits of a column are a sum over every visible column up to it, so that a
// cache written, read or masked wrongly changes them.
type fakeSession struct {
	c       *contract.Contract
	binds   int
	open    int   // bindings not yet closed
	poison  int64 // a token whose logits are NaN
	bindErr error
}

func (f *fakeSession) Close() error { return nil }

func (f *fakeSession) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) {
	return nil, fmt.Errorf("a decoder binds")
}

func (f *fakeSession) Bind(in, out []onnx.Tensor) (Bound, error) {
	f.binds++
	if f.bindErr != nil {
		return nil, f.bindErr
	}
	b := &fakeBound{f: f, in: map[string]onnx.Tensor{}, out: map[string]onnx.Tensor{}}
	for _, t := range in {
		b.in[t.Name] = t
	}
	for _, t := range out {
		b.out[t.Name] = t
	}
	for _, t := range append(append([]onnx.Tensor{}, in...), out...) {
		size, err := t.Type.Bytes(t.Dims)
		if err != nil {
			return nil, err
		}
		if size != int64(len(t.Bytes)) || t.Bytes == nil {
			return nil, fmt.Errorf("%s: %d bytes for shape %v", t.Name, len(t.Bytes), t.Dims)
		}
	}
	if len(in) != len(f.c.Inputs) || len(out) != len(f.c.Outputs) {
		return nil, fmt.Errorf("%d inputs and %d outputs bound, want all", len(in), len(out))
	}
	f.open++
	b.prepare()
	return b, nil
}

type fakeBound struct {
	f                         *fakeSession
	in, out                   map[string]onnx.Tensor
	batch, seq, past          int
	ids, mask, pos, columns   onnx.Tensor // columns: where new keys go, of a static cache
	logits                    onnx.Tensor
	pastK, pastV, presK, preV []onnx.Tensor
}

func (b *fakeBound) prepare() {
	for _, t := range b.f.c.Inputs {
		v := b.in[t.Name]
		switch t.Kind {
		case contract.KindIDs:
			b.ids, b.batch, b.seq = v, int(v.Dims[0]), int(v.Dims[1])
		case contract.KindMask:
			b.mask = v
		case contract.KindPositions:
			b.pos = v
		case contract.KindCachePosition:
			b.columns = v
		case contract.KindPastKey:
			b.pastK, b.past = append(b.pastK, v), int(v.Dims[2])
		case contract.KindPastValue:
			b.pastV = append(b.pastV, v)
		}
	}
	for _, t := range b.f.c.Outputs {
		v := b.out[t.Name]
		switch t.Kind {
		case contract.KindLogits:
			b.logits = v
		case contract.KindPresentKey:
			b.presK = append(b.presK, v)
		case contract.KindPresentValue:
			b.preV = append(b.preV, v)
		}
	}
}

func (b *fakeBound) Close() error { b.f.open--; return nil }

func whole(t onnx.Tensor, i int) int64 {
	if t.Type == onnx.Int32 {
		return int64(int32(binary.LittleEndian.Uint32(t.Bytes[4*i:])))
	}
	return int64(binary.LittleEndian.Uint64(t.Bytes[8*i:]))
}

func get(t onnx.Tensor, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(t.Bytes[4*i:]))
}

func put(t onnx.Tensor, i int, v float32) {
	binary.LittleEndian.PutUint32(t.Bytes[4*i:], math.Float32bits(v))
}

// new is which of the new tokens lies in column j, or -1: behind the past, or
// where columns say.
func (b *fakeBound) new(j int) int {
	if b.columns.Bytes == nil {
		return max(j-b.past, -1)
	}
	for i := range b.seq {
		if whole(b.columns, i) == int64(j) {
			return i
		}
	}
	return -1
}

// total is how many columns the cache has after the run.
func (b *fakeBound) total() int {
	if b.columns.Bytes == nil {
		return b.past + b.seq
	}
	return b.past
}

// Run computes caches of shape [batch, 1, total, 2] and the logits.
func (b *fakeBound) Run() error {
	total := b.total()
	if err := b.early(); err != nil {
		return err
	}
	for l := range b.presK {
		for r := range b.batch {
			for j := range total {
				at := (r*total + j) * 2
				i := b.new(j)
				if i < 0 {
					old := (r*b.past + j) * 2
					for d := range 2 {
						put(b.presK[l], at+d, get(b.pastK[l], old+d))
						put(b.preV[l], at+d, get(b.pastV[l], old+d))
					}
					continue
				}
				id := float32(whole(b.ids, r*b.seq+i))
				position := float32(j)
				if b.pos.Bytes != nil {
					position = float32(whole(b.pos, r*b.seq+i))
				}
				put(b.presK[l], at, id+float32(l))
				put(b.presK[l], at+1, position)
				put(b.preV[l], at, id)
				put(b.preV[l], at+1, id*float32(l+1))
			}
		}
	}
	last := int(b.logits.Dims[1])
	for r := range b.batch {
		for i := range last {
			b.answer(r, b.seq-last+i, total, (r*last+i)*int(b.logits.Dims[2]))
		}
	}
	return nil
}

// early refuses a mask of a static cache that opens columns before they are written.
func (b *fakeBound) early() error {
	if b.columns.Bytes == nil {
		return nil
	}
	for r := range b.batch {
		for j := int(whole(b.columns, b.seq-1)) + 1; j < b.past; j++ {
			if whole(b.mask, r*b.past+j) != 0 {
				return fmt.Errorf("row %d: column %d is open, and nothing was written there", r, j)
			}
		}
	}
	return nil
}

// answer writes the logits of the column that is i-th of the new ones.
func (b *fakeBound) answer(r, i, total, at int) {
	vocab := int(b.logits.Dims[2])
	end := b.past + i + 1
	if b.columns.Bytes != nil {
		end = int(whole(b.columns, i)) + 1
	}
	for v := range vocab {
		var sum float64
		for l := range b.presK {
			for j := range end {
				if b.mask.Bytes != nil && whole(b.mask, r*total+j) == 0 {
					continue
				}
				k := (r*total + j) * 2
				x := float64(get(b.presK[l], k)*3+get(b.presK[l], k+1)*7) + float64(get(b.preV[l], k)+get(b.preV[l], k+1))
				sum += math.Sin(x + float64(v)*1.3)
			}
		}
		if b.f.poison != 0 && whole(b.ids, r*b.seq+i) == b.f.poison {
			sum = math.NaN()
		}
		put(b.logits, at+v, float32(sum))
	}
}

// fakeContract is a contract of two layers, one head of size 2 and 11 tokens.
func fakeContract(kinds ...contract.Kind) *contract.Contract {
	dims := func(roles ...contract.Role) (d []contract.Dim) {
		for _, r := range roles {
			d = append(d, contract.Dim{Role: r})
		}
		return d
	}
	static := func(n int64) contract.Dim { return contract.Dim{Role: contract.Static, Size: n} }
	cache := func(length contract.Role) []contract.Dim {
		return []contract.Dim{{Role: contract.Batch}, static(1), {Role: length}, static(2)}
	}
	c := &contract.Contract{Layers: 2, Heads: 1, HeadDim: 2, Vocab: 11, MaxPositions: 64, Logits: "all"}
	for _, k := range kinds {
		t := contract.Tensor{Name: string(k), Kind: k, Type: "int64", Dims: dims(contract.Batch, contract.Seq)}
		if k == contract.KindMask {
			t.Dims = dims(contract.Batch, contract.Total)
		}
		if k == contract.KindPositions {
			t.Type = "int32"
		}
		c.Inputs = append(c.Inputs, t)
	}
	c.Outputs = append(c.Outputs, contract.Tensor{Name: "logits", Kind: contract.KindLogits, Type: "float",
		Dims: append(dims(contract.Batch, contract.Seq), static(11))})
	for l := range c.Layers {
		for in, out := range map[contract.Kind]contract.Kind{
			contract.KindPastKey: contract.KindPresentKey, contract.KindPastValue: contract.KindPresentValue} {
			c.Inputs = append(c.Inputs, contract.Tensor{Name: fmt.Sprintf("%s.%d", in, l), Kind: in, Type: "float", Layer: l, Dims: cache(contract.Past)})
			c.Outputs = append(c.Outputs, contract.Tensor{Name: fmt.Sprintf("%s.%d", out, l), Kind: out, Type: "float", Layer: l, Dims: cache(contract.Total)})
		}
	}
	return c
}

// fakeStatic is fakeContract with a cache of fixed length.
func fakeStatic(capacity int64) *contract.Contract {
	c := fakeContract(contract.KindIDs, contract.KindMask, contract.KindPositions)
	for _, t := range append(append([]contract.Tensor{}, c.Inputs...), c.Outputs...) {
		for i, d := range t.Dims {
			if d.Role == contract.Past || d.Role == contract.Total {
				t.Dims[i] = contract.Dim{Role: contract.Buffer, Size: capacity}
			}
		}
	}
	c.Inputs = append(c.Inputs, contract.Tensor{Name: "cache_position", Kind: contract.KindCachePosition, Type: "int64",
		Dims: []contract.Dim{{Role: contract.Seq}}})
	return c
}
