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
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// whole sees that the builder computes in integers all that the graph of a
// request quantizes; an error of class runtime names what it does not. A product
// whose scales lie on the wrong axis is quantized too, and the builder takes it
// without a word; only its account of the layers tells.
func whole(r engine.Request, account string) error {
	m, err := onnx.Load(r.Model)
	if err != nil {
		return err
	}
	var products []string
	for _, n := range engine.Quantized(m) {
		products = append(products, nameOf(n))
	}
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

// nameOf is what NVIDIA's parser calls a node.
func nameOf(n *onnxpb.NodeProto) string {
	if n.GetName() == "" && len(n.GetOutput()) > 0 {
		return "node_of_" + n.Output[0]
	}
	return n.GetName()
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
// each profile, and names those that are not. Products may share a name.
func keeps(products []string, counts map[string]int, profiles int) error {
	wanted := map[string]int{}
	for _, name := range products {
		wanted[name] += profiles
	}
	var lost []string
	for _, name := range products {
		if counts[name] < wanted[name] {
			lost = append(lost, name)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d quantized matrix products are not computed in INT8 in each of %d profiles: %s",
		len(lost), len(products), profiles, strings.Join(lost, ", "))
}
