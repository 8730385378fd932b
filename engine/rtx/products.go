package rtx

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
)

// whole sees that the builder computes in integers all that the graph of a
// request quantizes; an error of class runtime names what it does not.
func whole(r engine.Request, account string) error {
	m, err := onnx.Load(r.Model)
	if err != nil {
		return err
	}
	products := quantized(m)
	if err := m.Close(); err != nil || len(products) == 0 {
		return err
	}
	f, err := os.Open(account)
	if err != nil {
		return fsx.Explain("reading", account, err)
	}
	defer func() { _ = f.Close() }()
	counts, err := integers(f)
	if err != nil {
		return err
	}
	return fault.Wrap(fault.Runtime, "building", r.Name, keeps(products, counts, len(r.Plan.Profiles)),
		"check that scales lie on the weight's output axis")
}

// quantized names the matrix products of a graph whose two operands are both
// dequantized: those that an INT8 engine computes in integers. A product whose
// scales lie on the wrong axis is one too, and the builder takes it without a
// word; only its account of the layers tells.
func quantized(m *onnx.Model) (names []string) {
	made := map[string]string{} // value -> the operator that made it
	for _, n := range m.Graph().GetNode() {
		for _, out := range n.GetOutput() {
			made[out] = n.GetOpType()
		}
		multiplies := n.GetOpType() == "MatMul" || n.GetOpType() == "Gemm"
		if multiplies && len(n.Input) > 1 && made[n.Input[0]] == "DequantizeLinear" && made[n.Input[1]] == "DequantizeLinear" {
			names = append(names, n.GetName())
		}
	}
	return names
}

// attention is a layer that computes both of attention's products, and the
// Softmax between them, in one kernel: of many queries, or of one.
var attention = regexp.MustCompile(`^Name: _gem[mv]_mha_`)

// integers counts, by node of the graph, the layers that compute it as a product
// of integers: TensorRT lists in a layer's metadata the nodes that went into it.
func integers(r io.Reader) (map[string]int, error) {
	counts := map[string]int{}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for s.Scan() {
		line := s.Text()
		_, metadata, ok := strings.Cut(line, "Metadata: [ONNX Layer: ")
		m := layerType.FindStringSubmatch(line)
		// What dequantizes first is a fusion of another type, with the same inputs.
		if !ok || m == nil || m[1] != "gemm" && !attention.MatchString(line) || narrowest(inputs(line)) != "Int8" {
			continue
		}
		metadata = strings.TrimSuffix(metadata, "]")
		for _, node := range strings.Split(metadata, "]\x1f[ONNX Layer: ") {
			counts[node]++
		}
	}
	if err := s.Err(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading layers", "", err, "build the engine again")
	}
	return counts, nil
}

// keeps sees that every quantized product of the graph is an integer product in
// each profile, and names those that are not.
func keeps(products []string, counts map[string]int, profiles int) error {
	var lost []string
	for _, name := range products {
		if counts[name] < profiles {
			lost = append(lost, name)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d quantized matrix products are not computed in INT8 in each of %d profiles: %s",
		len(lost), len(products), profiles, strings.Join(lost, ", "))
}
