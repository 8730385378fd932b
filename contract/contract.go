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
// It reads the graph first: which input selects rows of the embedding, which is
// turned into angles, which becomes an output with new keys behind it, what
// reaches a softmax, and which lengths the nodes force to be the same or a sum
// ([shape.Follow]). Names and symbolic dimensions, as PyTorch, transformers,
// optimum and onnxruntime-genai write them, say the rest, and are held against
// the graph. What neither says is an error that asks for it by name, with the
// text to answer it ([Binding]); nothing is guessed.
//
// Graphs without logits over a vocabulary (encoders, vision) have a contract too:
// an input dimension that nothing else depends on is [Free] and wants limits.
//
// Subgraphs (If, Loop) are not looked into: what depends on them is asked for.
// A cache in one tensor for keys and values, or of another rank than 4, is not
// known, and neither is one that several layers share.
package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// SchemaVersion is the version of the file form that this program writes and
// the newest that it reads.
const SchemaVersion = 1

// File is what a contract is called beside its graph or engine.
const File = "contract.json"

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
	KindOther        Kind = "other"         // anything else: what a decoder does not feed or read
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

// Source is how something is known.
type Source string

// The sources, the strongest first.
const (
	Bound     Source = "bound" // the caller said so
	FromGraph Source = "graph" // the nodes make it so
	FromName  Source = "name"  // names of tensors and dimensions say so
)

// Dim is one dimension.
type Dim struct {
	Role   Role    `json:"role"`
	Size   int64   `json:"size,omitempty"`   // of a static dimension, or what any other is fixed at; 0 = it varies
	Symbol string  `json:"symbol,omitempty"` // its name in the graph
	Limits *Limits `json:"limits,omitempty"` // of a free dimension; nil = nobody said yet
	Source Source  `json:"source,omitempty"` // of the role; "" where the file fixes the size, or nobody knows
}

// Tensor is one input or output.
type Tensor struct {
	Name  string `json:"name"`
	Kind  Kind   `json:"kind"`
	Type  string `json:"type"` // ONNX's name in lower case: "int64", "float", "float16"
	Dims  []Dim  `json:"dims"`
	Layer int    `json:"layer,omitempty"` // of a cache tensor, from 0
	// Values are what the contents of a shape tensor are, an element each: a
	// graph that cuts its cache by a number it is given needs that number's range in
	// every profile. Nil = the contents decide no shape, or nobody said what they are.
	Values []Dim `json:"values,omitempty"`

	Source Source `json:"source,omitempty"` // of the kind; "" of KindOther
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
	Logits        string   `json:"logits"`        // "all" positions, or "last"; "" without logits

	// PositionsTable says that the graph itself reaches MaxPositions: it takes a
	// range of past and seq from a table of so many rows, so that shapes with past +
	// seq above it fail whatever is fed. Where positions are fed, or counted from
	// the mask, or nobody stores them, it is false.
	PositionsTable bool `json:"positions_table,omitempty"`

	// KVScale says that the cache's values are rescaled by channel, by factors of
	// this digest: only graphs with the same one can take over each other's cache.
	// "" = they are as the model makes them.
	KVScale string `json:"kv_scale,omitempty"`

	// Doubts are names of outputs that contradict the graph. Nothing depends on
	// them, and whoever wrote them may have meant another graph.
	Doubts []string `json:"doubts,omitempty"`

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

// Decoder tells whether the graph gives logits for token ids, so that text can be
// generated with it.
func (c *Contract) Decoder() bool { return c.Logits != "" }

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
	f := keep.File{Doing: "reading contract", Path: path, Kind: "contract", Version: SchemaVersion, Max: maxFile, Fix: "export the model again"}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	c := &Contract{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	return c, nil
}

// Digest is the sha256 of what the contract says, whoever wrote it and whatever names
// it doubts.
func (c *Contract) Digest() string {
	said := plain(*c)
	said.CreatedBy, said.Doubts = "", nil
	b, err := json.Marshal(said)
	if err != nil {
		panic(err) // it has strings and integers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
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
