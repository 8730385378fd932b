package rtx

import (
	"bufio"
	"io"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

var (
	layerType = regexp.MustCompile(`, LayerType: ([A-Za-z0-9_]+),`)
	behind    = regexp.MustCompile(`, (Constants|Outputs): \[`)
	datatype  = regexp.MustCompile(`Datatype: ([A-Za-z0-9]+)`)
	product   = regexp.MustCompile(`^Name: __myl_[A-Za-z]*Fc`) // "fully connected", with what was fused to it
)

// narrow orders data types by how much they promise: a layer is of the narrowest
// type among its inputs. Constants do not count: INT8 weights alone make no INT8
// product.
var narrow = []string{"Int4", "Int8", "FP8", "Half", "BFloat16", "Float"}

// maxLine bounds a layer's line; fused layers list hundreds of node names.
const maxLine = 16 << 20

// Layers counts the layers of a builder's account by type and narrowest input:
// "gemm Int8": 16. A fusion around a matrix product is a "fused_gemm" of the type
// that it gives, since one that takes INT8 has been seen to convert it first.
// Lines that are about no layer are passed over.
func Layers(r io.Reader) (map[string]int, error) {
	layers := map[string]int{}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for s.Scan() {
		line := s.Text()
		m := layerType.FindStringSubmatch(line)
		if !strings.HasPrefix(line, "Name: ") || m == nil {
			continue
		}
		class, typ := m[1], narrowest(inputs(line))
		if class == "runtime_fusion" && product.MatchString(line) {
			class, typ = "fused_gemm", narrowest(outputs(line))
		}
		layers[strings.TrimSpace(class+" "+typ)]++
	}
	if err := s.Err(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading layers", "", err, "build the engine again")
	}
	return layers, nil
}

// inputs is the part of a layer's line on its inputs.
func inputs(line string) string {
	if at := behind.FindStringIndex(line); at != nil {
		return line[:at[0]]
	}
	return line
}

// outputs is the part of a layer's line on its outputs.
func outputs(line string) string {
	_, after, _ := strings.Cut(line, ", Outputs: [")
	return after
}

func narrowest(text string) string {
	seen := map[string]bool{}
	for _, m := range datatype.FindAllStringSubmatch(text, -1) {
		seen[m[1]] = true
	}
	for _, t := range narrow {
		if seen[t] {
			return t
		}
	}
	return ""
}
