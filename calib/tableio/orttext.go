package tableio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/keep"
)

// ONNX Runtime's write_calibration_table leaves two more files beside the
// FlatBuffer: calibration.cache, "name value" a line, and calibration.json, which
// alone has both sides of a range. They are read, not written: the provider reads
// neither.

// splitText parts "name value" at the last space.
func splitText(line []byte) (name string, amax float32, err error) {
	at := bytes.LastIndexByte(line, ' ')
	if at < 0 {
		return "", 0, fmt.Errorf("%.80q has no space before a value", line)
	}
	amax, err = parseDecimal(string(line[at+1:]))
	return string(line[:at]), amax, err
}

// isText tells a calibration.cache by its lines, the last of which may be cut.
func isText(head []byte) bool {
	lines := bytes.Split(head, []byte("\n"))
	for _, line := range lines[:len(lines)-1] {
		if _, _, err := splitText(bytes.TrimSuffix(line, []byte("\r"))); err != nil {
			return false
		}
	}
	return len(lines) > 1
}

func parseText(b []byte) (*calib.Table, error) {
	t := newTable("ONNX Runtime")
	for n, rest := 1, b; len(rest) > 0; n++ {
		var line []byte
		if line, rest = firstLine(rest); len(line) == 0 {
			continue
		}
		where := fmt.Sprintf("line %d", n)
		name, amax, err := splitText(line)
		if err != nil {
			t.refuse(where, "%w", err)
			continue
		}
		t.add(where, name, amax)
	}
	return t.done()
}

// array is a numpy value as ONNX Runtime's encoder writes it.
type array struct {
	Class string          `json:"CLS"` // "numpy.array"
	Data  json.RawMessage `json:"data"`
}

// tensorData is ONNX Runtime's TensorData, as far as ranges go.
type tensorData struct {
	Class   string          `json:"CLS"` // "TensorData"
	Lowest  json.RawMessage `json:"lowest"`
	Highest json.RawMessage `json:"highest"`
}

func parseORTJSON(b []byte) (*calib.Table, error) {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, keep.Explain(err)
	}
	method := struct {
		Value string `json:"value"`
	}{"MinMax"}
	var class string
	if _ = json.Unmarshal(all["CLS"], &class); class == "TensorsData" { // save_tensors_data's wrapper
		_ = json.Unmarshal(all["calibration_method"], &method)
		whole := all["data"]
		all = nil
		if err := json.Unmarshal(whole, &all); err != nil {
			return nil, fmt.Errorf("its data: %w", keep.Explain(err))
		}
	}
	t := newTable("ONNX Runtime " + method.Value)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, err := parseTensorData(all[name])
		if err != nil {
			t.refuse(fmt.Sprintf("tensor %q", name), "%w", err)
			continue
		}
		t.addRange("JSON", name, r)
	}
	return t.done()
}

// parseTensorData is a range of which both sides are known; the magnitude is the
// greater of the two, which ONNX Runtime's other files get wrong.
func parseTensorData(b json.RawMessage) (r calib.Range, err error) {
	var d tensorData
	if err := json.Unmarshal(b, &d); err != nil {
		return r, keep.Explain(err)
	}
	if d.Class != "TensorData" {
		return r, fmt.Errorf("its class is %q, not TensorData", d.Class)
	}
	lo, err1 := number(d.Lowest)
	hi, err2 := number(d.Highest)
	if err := errors.Join(err1, err2); err != nil {
		return r, err
	}
	r = calib.Range{Lo: lo, Hi: hi, Amax: max(-lo, lo, hi)}
	return r, r.Check()
}

// number is a numpy scalar, an array of one, or a plain number.
func number(b json.RawMessage) (v float32, err error) {
	if len(b) == 0 {
		return 0, errors.New("lowest or highest is missing")
	}
	var a array
	if json.Unmarshal(b, &a) == nil && a.Class != "" {
		b = a.Data
	}
	if json.Unmarshal(b, &v) == nil {
		return v, nil
	}
	var one []float32
	if json.Unmarshal(b, &one) == nil && len(one) == 1 {
		return one[0], nil
	}
	return 0, fmt.Errorf("%.80s is not one float32 (a table per channel is not read)", b)
}
