package trtexec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// maxLayers bounds what --exportLayerInfo wrote: tens of thousands of layers.
const maxLayers = 256 << 20

// info is what --exportLayerInfo writes with detailed verbosity.
type info struct {
	Layers   []json.RawMessage `json:"Layers"`
	Bindings []string          `json:"Bindings"` // once a profile, later ones marked "[profile 1]"
}

type layer struct {
	Name      string `json:"Name"`
	LayerType string `json:"LayerType"`
	Inputs    []struct {
		Format   string `json:"Format/Datatype"`
		Datatype string `json:"Datatype"`
	} `json:"Inputs"`
}

// account is what the builder says of an engine.
type account struct {
	layers   map[string]int // by class and narrowest input type: "gemm int8"
	profiles int
}

var marked = regexp.MustCompile(`\[profile (\d+)\]`)

// readLayers reads the builder's account of its layers.
func readLayers(path string) (account, error) {
	bad := func(err error) (account, error) {
		return account{}, fault.Wrap(fault.Runtime, "reading the layers of the engine", path, err, "build again; if it stays, report the TensorRT version")
	}
	f, err := os.Open(path)
	if err != nil {
		return account{}, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxLayers+1))
	if err != nil {
		return bad(err)
	}
	if len(b) > maxLayers {
		return bad(fmt.Errorf("it is larger than %d bytes", maxLayers))
	}
	return parseLayers(b)
}

func parseLayers(b []byte) (account, error) {
	var i info
	if err := json.Unmarshal(b, &i); err != nil {
		return account{}, fault.Wrap(fault.Runtime, "reading the layers of the engine", "", err, "build again")
	}
	a := account{layers: map[string]int{}, profiles: 1}
	for _, raw := range i.Layers {
		var l layer
		if json.Unmarshal(raw, &l) != nil || l.LayerType == "" {
			return account{}, fault.New(fault.Runtime, "reading the layers of the engine", "", "a layer says no type: the build was not detailed", "build again")
		}
		a.layers[strings.TrimSpace(l.LayerType+" "+l.narrowest())]++
	}
	if len(i.Layers) == 0 {
		return account{}, errors.New("reading the layers of the engine: it lists none")
	}
	for _, name := range i.Bindings {
		if m := marked.FindStringSubmatch(name); m != nil {
			n, err := strconv.Atoi(m[1])
			if err == nil {
				a.profiles = max(a.profiles, n+1)
			}
		}
	}
	return a, nil
}

// widths orders types as TensorRT names them, in Datatype or within a format
// ("Row major Int8 format").
var widths = []string{"int4", "int8", "fp8", "half", "fp16", "bfloat16", "bf16", "float", "fp32"}

// narrowest is the narrowest type of a layer's inputs, in lower case.
func (l layer) narrowest() string {
	for _, w := range widths {
		for _, in := range l.Inputs {
			if strings.Contains(strings.ToLower(in.Datatype+" "+in.Format), w) {
				return w
			}
		}
	}
	return ""
}
