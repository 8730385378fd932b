package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/safetensors"
)

// inspected is an ONNX model as inspect prints it.
type inspected struct {
	Kind       string             `json:"kind"` // "onnx"
	Producer   string             `json:"producer"`
	Opset      int64              `json:"opset"`
	Domains    map[string]int64   `json:"domains,omitempty"` // operator sets of others, by domain
	Nodes      map[string]int     `json:"nodes"`             // by operator
	Parameters int64              `json:"parameters"`
	Bytes      int64              `json:"weight_bytes"`
	External   int64              `json:"external_bytes"` // of them, in files beside the model
	Types      map[string]int64   `json:"weight_types"`   // bytes of the weights, by type
	Refused    []string           `json:"tensorrt_refuses,omitempty"`
	RefusedRTX []string           `json:"tensorrt_rtx_refuses,omitempty"`
	Contexts   []planfile.Context `json:"ep_contexts,omitempty"` // compiled engines within
	Contract   *contract.Contract `json:"contract,omitempty"`
}

func inspectONNX(opts InspectOptions, g *globals, path string) error {
	bound, err := contract.ParseBindings(opts.Bind)
	if err != nil {
		return err
	}
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	x := describeONNX(m)
	x.Contexts = planfile.Contexts(m, filepath.Dir(path))
	x.Contract, err = contract.Infer(m, bound...)
	switch {
	case err != nil && len(x.Contexts) > 0 && opts.Out == "": // what was compiled shows no cache to know it by
		x.Contract = nil
		return x.show(g, path)
	case err != nil:
		return err
	}
	x.Contract.CreatedBy = createdBy()
	if opts.Out != "" {
		if err := makeParent(opts.Out); err != nil {
			return err
		}
		if err := x.Contract.Save(opts.Out); err != nil {
			return err
		}
	}
	return x.show(g, path)
}

// show prints the model. Engines within that cannot be run anywhere decide the exit
// status.
func (x *inspected) show(g *globals, path string) error {
	if err := g.print(x, x.write); err != nil {
		return err
	}
	var damaged []error
	for _, c := range x.Contexts {
		ours := c.Source == "" || strings.Contains(strings.ToLower(c.Source), "tensorrt") // what others compile is not known
		if c.Problem != "" && ours {
			damaged = append(damaged, fault.New(fault.Input, "inspecting", path, fmt.Sprintf("the engine of %q: %s", c.Node, c.Problem), "compile the model again"))
		}
	}
	err := errors.Join(damaged...)
	if err != nil && g.JSON {
		return printed{err} // the document says it
	}
	return err
}

func describeONNX(m *onnx.Model) *inspected {
	x := &inspected{Kind: "onnx", Producer: m.Proto.GetProducerName(), Opset: m.Opset(), Domains: map[string]int64{}, Nodes: map[string]int{}, Types: map[string]int64{}, Refused: engine.Refused(m), RefusedRTX: engine.RefusedByRTX(m),
		Bytes: m.Size(), External: m.External()}
	for _, o := range m.Proto.GetOpsetImport() {
		if !onnx.Builtin(o) {
			x.Domains[o.GetDomain()] = o.GetVersion()
		}
	}
	for _, n := range m.Graph().GetNode() {
		x.Nodes[onnx.Operator(n)]++
	}
	_ = m.Weights(func(w *onnx.Weight) error {
		if n, err := onnx.Elements(w.Dims); err == nil {
			x.Parameters += n
		}
		x.Types[w.Type.String()] += w.Data.Size()
		return nil
	})
	return x
}

func (x *inspected) write(w io.Writer) error {
	if x.Contract != nil {
		if err := x.Contract.Write(w); err != nil {
			return err
		}
	}
	producer := ""
	if x.Producer != "" {
		producer = fmt.Sprintf(", made by %q", x.Producer)
	}
	_, err := fmt.Fprintf(w, "opset %d%s%s\n%d parameters, %s, %s of them beside the model\n%s\n", x.Opset, x.others(), producer,
		x.Parameters, bytesText(x.Bytes), bytesText(x.External), x.census())
	for _, t := range slices.Sorted(maps.Keys(x.Types)) {
		_, _ = fmt.Fprintf(w, "weights in %s: %s\n", t, bytesText(x.Types[t]))
	}
	for _, r := range x.Refused {
		_, _ = fmt.Fprintf(w, "TensorRT will refuse: %s\n", r)
	}
	for _, r := range x.RefusedRTX {
		_, _ = fmt.Fprintf(w, "TensorRT-RTX will refuse: %s\n", r)
	}
	for _, c := range x.Contexts {
		if err := writeContext(w, c); err != nil {
			return err
		}
	}
	return err
}

func (x *inspected) others() string {
	text := ""
	for _, d := range slices.Sorted(maps.Keys(x.Domains)) {
		text += fmt.Sprintf(", %q %d", d, x.Domains[d])
	}
	return text
}

// census is the nodes by operator, the most frequent first.
func (x *inspected) census() string {
	ops := slices.SortedFunc(maps.Keys(x.Nodes), func(a, b string) int {
		return cmp.Or(cmp.Compare(x.Nodes[b], x.Nodes[a]), cmp.Compare(a, b))
	})
	total, parts := 0, make([]string, len(ops))
	for i, op := range ops {
		total += x.Nodes[op]
		parts[i] = fmt.Sprintf("%d %s", x.Nodes[op], op)
	}
	return fmt.Sprintf("%d nodes: %s", total, strings.Join(parts, ", "))
}

// checkpointFile is a safetensors file as inspect prints it.
type checkpointFile struct {
	Kind       string           `json:"kind"` // "safetensors"
	Tensors    []checkpointPart `json:"tensors"`
	Parameters int64            `json:"parameters"`
	Bytes      int64            `json:"bytes"`
}

type checkpointPart struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Shape []int64 `json:"shape"`
	Bytes int64   `json:"bytes"`
}

func inspectSafetensors(_ InspectOptions, g *globals, path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	x := checkpointFile{Kind: "safetensors", Tensors: []checkpointPart{}}
	for _, t := range f.Tensors() {
		x.Tensors = append(x.Tensors, checkpointPart{t.Name, t.Type, t.Shape, t.Length})
		x.Bytes += t.Length
		if width := safetensors.Width(t.Type); width > 0 {
			x.Parameters += t.Length / width
		}
	}
	return g.print(x, func(w io.Writer) error {
		for _, t := range x.Tensors {
			if _, err := fmt.Fprintf(w, "%q %s %v\n", t.Name, t.Type, t.Shape); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "%d tensors, %d parameters, %s\n", len(x.Tensors), x.Parameters, bytesText(x.Bytes))
		return err
	})
}
