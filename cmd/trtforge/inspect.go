package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib/tableio"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/quant"
)

// InspectOptions are the flags of inspect.
type InspectOptions struct {
	Out  string
	Bind []string
}

// AddFlags declares the flags.
func (o *InspectOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "write the contract of an ONNX model to `FILE`")
	f.StringArrayVar(&o.Bind, "bind", nil, "say what a dimension is: `input:dim=WHAT`, a role (batch, seq, past, total, buffer, static), a size, min..max or min..opt..max; may be given again")
}

func newInspectCommand(g *globals) *cobra.Command {
	var opts InspectOptions
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a file is: a graph and its contract, an engine, a checkpoint, profiles, a calibration table, decisions",
		Long: `Inspect tells the kind of a file by its content. Of an ONNX model it shows what
every input and output is for, which of its dimensions is batch, sequence, past or
their sum, how that is known (from the nodes, from names, or because --bind says
so), and what the graph is made of. What nothing says is asked for by name, with
the --bind that answers it. Of a TensorRT or TensorRT-RTX plan, bare, in its directory or
in an EPContext model, it shows the builder, the GPUs, and whether this machine can run
it and why not.
` + exitStatus,
		Example: `  trtforge inspect model.onnx
  trtforge inspect model.onnx --bind x:1=seq -o contract.json
  trtforge inspect their.engine
  trtforge inspect vit.onnx --bind pixel_values:2=224..448 --bind pixel_values:3=224..448`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runInspect(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// inspector shows files of one kind.
type inspector struct {
	kind  string
	match func(name string, head []byte) bool
	show  func(opts InspectOptions, g *globals, path string) error
}

// inspectors are asked in this order; who matches first shows the file.
var inspectors = []inspector{
	{"engine's directory", isEngineManifest, inspectEngine},
	{"TensorRT plan", isPlan, inspectPlan},
	{"timing cache", isTiming, inspectTiming},
	{"safetensors", func(name string, head []byte) bool {
		return strings.HasSuffix(name, ".safetensors") || len(head) > 8 && head[8] == '{' && head[0] != '{'
	}, inspectSafetensors},
	{"contract", jsonOf("contract"), inspectContract},
	{"calibration table", func(name string, head []byte) bool { return isObservations(name, head) || tableio.Detect(head) != "" },
		func(_ InspectOptions, g *globals, path string) error { return runCalibrateShow(g, path) }},
	{"onnx", func(name string, head []byte) bool {
		return strings.HasSuffix(name, ".onnx") || len(head) > 0 && head[0] == 0x08 // ir_version, the first field
	}, inspectONNX},
	{"decisions", jsonOf("decisions"), inspectDecisions},
	{"profiles", func(name string, head []byte) bool {
		return strings.HasSuffix(name, ".profile") || jsonOf(formPlan)(name, head) || jsonOf(formManifest)(name, head) || bytes.HasPrefix(head, []byte("# trtforge profiles"))
	}, inspectProfiles},
}

// headBytes are enough to tell a kind.
const headBytes = 4096

func runInspect(opts InspectOptions, g *globals, path string) error {
	path, err := fileIn(path)
	if err != nil {
		return err
	}
	head, err := headOf(path)
	if err != nil {
		return err
	}
	if len(head) == 0 {
		return fault.New(fault.Input, "inspecting", path, "it is empty", "make it or get it again")
	}
	for _, i := range inspectors {
		if !i.match(path, head) {
			continue
		}
		if i.kind != "onnx" && (opts.Out != "" || len(opts.Bind) > 0) {
			return fault.New(fault.Usage, "inspecting", path, "it is no ONNX model, and --bind and -o are about one", "leave them out")
		}
		return i.show(opts, g, path)
	}
	kinds := make([]string, len(inspectors))
	for i := range inspectors {
		kinds[i] = inspectors[i].kind
	}
	return fault.New(fault.Input, "inspecting", path, "its kind is not known", "want a file of one of these kinds: "+strings.Join(kinds, ", "))
}

// fileIn is what a directory is inspected by: the manifest of an engine, the graph
// of an export, or the weights of a checkpoint.
func fileIn(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, nil // headOf says what is wrong with it
	}
	if manifest := filepath.Join(path, engine.ManifestFile); store.IsEngine(path) {
		return manifest, nil
	}
	weights := filepath.Join(path, "model.safetensors")
	if _, err := os.Stat(weights); err == nil {
		return weights, nil
	}
	return graphFile(path)
}

// headOf is the beginning of a file.
func headOf(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Input, "inspecting", path, err, "check the path")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("inspecting", path, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fsx.Explain("inspecting", path, err)
	}
	return head[:n], nil
}

// jsonOf matches a JSON file whose field "kind" stands first, as this program
// writes it.
func jsonOf(kind string) func(string, []byte) bool {
	return func(_ string, head []byte) bool {
		head = bytes.Join(bytes.Fields(head), nil)
		return bytes.HasPrefix(head, []byte(`{"kind":"`+kind+`"`))
	}
}

// inspectDecisions shows what became of each product, as a dry run does.
func inspectDecisions(_ InspectOptions, g *globals, path string) error {
	d, err := quant.ReadDecisionsFile(path)
	if err != nil {
		return err
	}
	return g.print(d, func(w io.Writer) error {
		q := quantized{Precision: d.Precision, Products: len(d.Decisions), Decisions: d.Decisions}
		q.count()
		var b strings.Builder
		q.table(&b)
		q.headline(&b)
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// inspectProfiles shows what an engine's manifest, a plan, a lock or a .profile
// holds, as profiles show does.
func inspectProfiles(_ InspectOptions, g *globals, path string) error {
	return runShow(ShowOptions{}, g, path, nil)
}

func inspectContract(_ InspectOptions, g *globals, path string) error {
	c, err := contract.Load(path)
	if err != nil {
		return err
	}
	return g.print(c, c.Write)
}

func bytesText(n int64) string {
	if n < 1e5 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// makeParent makes the directory of a file that a flag names.
func makeParent(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fsx.Explain("writing", path, err)
	}
	return nil
}
