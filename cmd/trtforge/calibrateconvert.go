package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib/tableio"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// ConvertOptions are the flags of calibrate convert.
type ConvertOptions struct {
	To    string
	Out   string
	TRT   string
	Model string
}

// AddFlags declares the flags.
func (o *ConvertOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.To, "to", "", "json, trt (TensorRT's cache) or ort (calibration.flatbuffers of ONNX Runtime's TensorRT provider) (required)")
	f.StringVarP(&o.Out, "out", "o", "", "the `FILE` to write (required)")
	f.StringVar(&o.TRT, "trt-version", "", "the TensorRT that will read a cache, which its header names: a `VERSION` of 10, as 10.13.3 (default 10.16.1)")
	f.StringVar(&o.Model, "model", "", "the graph that a foreign table was made for, an .onnx `FILE` or its directory: its tensors are looked for in it, and JSON gets its digest")
}

func newCalibrateConvertCommand(g *globals) *cobra.Command {
	var opts ConvertOptions
	c := &cobra.Command{
		Use:   "convert TABLE --to json|trt|ort -o FILE",
		Short: "Translate a calibration table to and from TensorRT's and ONNX Runtime's formats",
		Long: `Convert reads a table of any form, told by its content: ours, TensorRT's calibration
cache, and the three files of ONNX Runtime's write_calibration_table
(calibration.flatbuffers, .cache and .json). It writes ours, TensorRT's cache or the
FlatBuffer.

Tables and caches are for TensorRT 10 and older. TensorRT 11 has no calibrators and
no dynamic ranges: there, and everywhere else too, quantize the graph itself, whose
Q/DQ nodes mean the same to every version.

A foreign table has one magnitude a tensor and names neither model nor text. Read
into JSON, lo is -amax and hi is amax. A cache stores amax/127, so a magnitude comes
back within one unit of float32's last place. Magnitudes of zero, NaN and names that
occur twice are refused.
` + exitStatus,
		Example: `  trtforge calibrate convert table.json --to trt --trt-version 10.13.3 -o model.cache
  trtforge calibrate convert table.json --to ort -o calibration.flatbuffers
  trtforge calibrate convert model.cache --to json --model model.onnx -o table.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runCalibrateConvert(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	_ = c.MarkFlagRequired("to") // these fail for a flag that does not exist only
	_ = c.MarkFlagRequired("out")
	return c
}

// converted is what convert prints.
type converted struct {
	From    tableio.Form `json:"from"`
	To      tableio.Form `json:"to"`
	Out     string       `json:"out"`
	Tensors int          `json:"tensors"`
	Notes   []string     `json:"notes,omitempty"`
}

func runCalibrateConvert(o ConvertOptions, g *globals, path string) error {
	to := tableio.Form(o.To)
	if !slices.Contains(tableio.Writable, to) {
		return fault.New(fault.Usage, "", "", fmt.Sprintf("--to %q", o.To), "want json, trt or ort")
	}
	var version tableio.Version
	if o.TRT != "" {
		var err error
		if version, err = tableio.ParseVersion(o.TRT); err != nil {
			return err
		}
		if to != tableio.TRT {
			return fault.New(fault.Usage, "", "", "--trt-version is for a TensorRT cache", "leave it out, or convert --to trt")
		}
	}
	in, err := tableio.ReadFile(path)
	if err != nil {
		return err
	}
	if o.Model != "" {
		if err := adopt(in, o.Model); err != nil {
			return err
		}
	}
	if in.Form != tableio.JSON {
		in.Table.CreatedBy = createdBy()
	}
	if err := makeParent(o.Out); err != nil {
		return err
	}
	if err := tableio.WriteFile(o.Out, in.Table, to, tableio.Options{TRT: version}); err != nil {
		return err
	}
	out := converted{From: in.Form, To: to, Out: o.Out, Tensors: len(in.Table.Ranges), Notes: tableio.Doubts(in.Table, to)}
	if to == tableio.JSON {
		out.Notes = append(in.Notes, out.Notes...)
	} else {
		out.Notes = append([]string{legacy}, out.Notes...)
	}
	for _, n := range out.Notes {
		g.Log.Warn("note: " + n)
	}
	return g.print(out, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, %s\n", out.Out, out.To, plural(out.Tensors, "tensor"))
		return err
	})
}

// legacy is said with every table that is written for TensorRT.
const legacy = "TensorRT 10 and older read this, 11 has no calibrators: a graph with Q/DQ nodes works with all of them"

// adopt says of which graph a table is. A table that names another is refused.
func adopt(in *tableio.File, path string) error {
	m, err := loadGraph(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	if in.Form == tableio.JSON && in.Table.Model != "" {
		return in.Table.Fits(digest)
	}
	in.Table.Model = digest
	have := tensorsOf(m)
	var strange []string
	for _, name := range slices.Sorted(maps.Keys(in.Table.Ranges)) {
		if !have[name] {
			strange = append(strange, name)
		}
	}
	switch {
	case len(strange) == len(in.Table.Ranges):
		return fault.New(fault.Input, "using the calibration table", "", fmt.Sprintf("the model has none of its %d tensors; the first is %q", len(strange), strange[0]), "give the table that belongs to the model")
	case len(strange) > 0:
		in.Notes = append(in.Notes, fmt.Sprintf("%d of its %d tensors are not in the model; the first is %q", len(strange), len(in.Table.Ranges), strange[0]))
	}
	return nil
}

// loadGraph loads the graph that a path names, a file or a directory.
func loadGraph(path string) (*onnx.Model, error) {
	path, err := graphFile(path)
	if err != nil {
		return nil, err
	}
	return onnx.Load(path)
}

// tensorsOf are the names of all values of a graph.
func tensorsOf(m *onnx.Model) map[string]bool {
	all := map[string]bool{}
	for _, v := range m.Graph().GetInput() {
		all[v.GetName()] = true
	}
	for _, n := range m.Graph().GetNode() {
		for _, out := range n.GetOutput() {
			all[out] = true
		}
	}
	return all
}
