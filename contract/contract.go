// Package contract says what a graph's inputs and outputs mean.
//
// A decoder's shapes are not independent: the mask is as long as past and
// sequence together, every cache tensor shares batch and past, and what comes out
// is longer by what went in. [Infer] reads this from an ONNX model, profiles are
// derived from it, and decoders feed a graph by it:
//
//	c, err := contract.Infer(m)
//	shape := c.Shape(c.Inputs[0], batch, seq, past)
//
// Names and symbolic dimensions are read the way PyTorch, transformers and
// optimum write them. What they do not say is an error that asks for it by name;
// nothing is guessed.
//
// It reads no meaning from the nodes of a graph, so a decoder whose inputs have
// names of their own is refused; there is no way yet to state what they are.
// Graphs without token ids and logits (encoders, vision), caches that are not
// [batch, heads, past, head size] in two tensors a layer, and buffers of fixed
// length that past and present share, without cache_position to say where new keys
// go, are not decoders to it.
package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// SchemaVersion is the version of the file form that this program writes and
// the newest that it reads.
const SchemaVersion = 1

// Kind is what a tensor is for.
type Kind string

// The kinds of inputs and outputs of a decoder.
const (
	KindIDs          Kind = "ids"           // token ids, [batch, seq]
	KindMask         Kind = "mask"          // 1 = token, 0 = padding, [batch, total]
	KindPositions    Kind = "positions"     // position of each token, [batch, seq]
	KindPastKey      Kind = "past_key"      // [batch, heads, past, head size]
	KindPastValue    Kind = "past_value"    // [batch, heads, past, head size]
	KindLogits       Kind = "logits"        // [batch, seq or 1, vocab]
	KindPresentKey   Kind = "present_key"   // [batch, heads, total, head size]
	KindPresentValue Kind = "present_value" // [batch, heads, total, head size]
	KindOther        Kind = "other"         // an input of fixed size, or an output that nothing here reads
)

// Role is what the size of a dimension depends on.
type Role string

// The roles.
const (
	Batch  Role = "batch"
	Seq    Role = "seq"
	Past   Role = "past"
	Total  Role = "total"  // past + seq
	Buffer Role = "buffer" // the capacity of a cache that past and present share: new keys are written into it
	Free   Role = "free"   // no other size depends on it; Limits say what it takes
	Static Role = "static"
)

// Limits are the sizes that a free dimension takes, and the one to tune for.
type Limits struct {
	Min int64 `json:"min"`
	Opt int64 `json:"opt"`
	Max int64 `json:"max"`
}

// Dim is one dimension.
type Dim struct {
	Role   Role    `json:"role"`
	Size   int64   `json:"size,omitempty"`   // of a static dimension, or what any other is fixed at; 0 = it varies
	Symbol string  `json:"symbol,omitempty"` // its name in the graph
	Limits *Limits `json:"limits,omitempty"` // of a free dimension; nil = nobody said yet
}

// Tensor is one input or output.
type Tensor struct {
	Name  string `json:"name"`
	Kind  Kind   `json:"kind"`
	Type  string `json:"type"` // ONNX's name in lower case: "int64", "float", "float16"
	Dims  []Dim  `json:"dims"`
	Layer int    `json:"layer,omitempty"` // of a cache tensor, from 0
}

// Contract is the meaning of a graph's inputs and outputs.
type Contract struct {
	Kind          string   `json:"kind"` // "contract"
	SchemaVersion int      `json:"schema_version"`
	CreatedBy     string   `json:"created_by"`
	Inputs        []Tensor `json:"inputs"`
	Outputs       []Tensor `json:"outputs"`
	Layers        int      `json:"layers"`        // 0 without a cache
	Heads         int      `json:"heads"`         // of the cache: key and value heads
	HeadDim       int      `json:"head_dim"`      // of the cache
	Vocab         int      `json:"vocab"`         // logits a token
	MaxPositions  int      `json:"max_positions"` // longest past + seq; 0 = not known
	Logits        string   `json:"logits"`        // "all" positions, or "last"

	extra keep.Fields // of writers that know more
}

// Shape is a tensor's shape at run time. A dimension that the graph fixes has
// its size whatever is asked for.
func (c *Contract) Shape(t Tensor, batch, seq, past int64) []int64 {
	shape := make([]int64, len(t.Dims))
	for i, d := range t.Dims {
		if shape[i] = d.Size; d.Size == 0 {
			shape[i] = d.Asked(batch, seq, past)
		}
	}
	return shape
}

// Asked is the size that a pass asks of a dimension, whether or not the graph
// fixes it at another.
func (d Dim) Asked(batch, seq, past int64) int64 {
	switch d.Role {
	case Batch:
		return batch
	case Seq:
		return seq
	case Past:
		return past
	case Total:
		return past + seq
	}
	return d.Size
}

// Cached tells whether the graph takes keys and values of earlier calls.
func (c *Contract) Cached() bool { return c.Layers > 0 }

// Save writes the contract to path.
func (c *Contract) Save(path string) error { return fsx.WriteJSON(path, c) }

// maxFile bounds a contract file: thousands of layers.
const maxFile = 16 << 20

// Load reads a contract file. What is not a contract, or of a newer version, is
// an error of class input.
func Load(path string) (*Contract, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading contract", path, err)
	}
	defer func() { _ = f.Close() }()
	return Read(f, path)
}

// Read reads a contract; path names it in errors.
func Read(r io.Reader, path string) (*Contract, error) {
	bad := func(cause string) error {
		return fault.New(fault.Input, "reading contract", path, cause, "export the model again")
	}
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fsx.Explain("reading contract", path, err)
	}
	if len(b) > maxFile {
		return nil, bad(fmt.Sprintf("it is larger than %d bytes", maxFile))
	}
	c := &Contract{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, bad(err.Error())
	}
	if c.Kind != "contract" || c.SchemaVersion < 1 || c.SchemaVersion > SchemaVersion {
		return nil, bad(fmt.Sprintf("kind %q of version %d; this program reads contracts up to version %d", c.Kind, c.SchemaVersion, SchemaVersion))
	}
	return c, nil
}

// plain is a Contract without its methods.
type plain Contract

// UnmarshalJSON keeps the fields that this program does not know.
func (c *Contract) UnmarshalJSON(b []byte) (err error) {
	c.extra, err = keep.Unmarshal(b, (*plain)(c))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (c Contract) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(c), c.extra) }
