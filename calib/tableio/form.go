package tableio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Form is a file format of calibrated ranges.
type Form string

// The forms. All are read; the first three are written, too.
const (
	JSON    Form = "json"     // our table, all that is known
	TRT     Form = "trt"      // TensorRT's calibration cache, version 10 and older
	ORT     Form = "ort"      // calibration.flatbuffers of ONNX Runtime's TensorRT provider
	ORTText Form = "ort-text" // calibration.cache, which its quantization tools write beside
	ORTJSON Form = "ort-json" // calibration.json, likewise, or save_tensors_data's
)

// Writable are the forms that [Write] makes.
var Writable = []Form{JSON, TRT, ORT}

// String is the form in words.
func (f Form) String() string {
	return map[Form]string{
		JSON: "trtforge table", TRT: "TensorRT calibration cache", ORT: "ONNX Runtime calibration table (FlatBuffers)",
		ORTText: "ONNX Runtime calibration table (text)", ORTJSON: "ONNX Runtime calibration table (JSON)",
	}[f]
}

// Detect tells the form by the beginning of a file; "" is none of them.
func Detect(head []byte) Form {
	switch text := bytes.TrimLeft(head, " \t\r\n"); {
	case isTRT(head):
		return TRT
	case isORT(head):
		return ORT
	case bytes.HasPrefix(bytes.Join(bytes.Fields(head), nil), []byte(`{"kind":"table"`)):
		return JSON
	case len(text) > 0 && text[0] == '{' && bytes.Contains(head, []byte(`"CLS"`)):
		return ORTJSON
	case isText(head):
		return ORTText
	}
	return ""
}

// File is a table that was read, and from what.
type File struct {
	Form  Form
	Table *calib.Table
	Notes []string // what the form could not tell
}

// maxFile bounds a foreign file; package calib bounds our own, which has channels.
const maxFile = 32 << 20

// headBytes are enough for [Detect].
const headBytes = 4096

// Read reads a table of any form; path names it in errors, which are of class
// input and name every entry that no calibration can have made: a magnitude that
// is not a positive finite float32, a name that occurs twice.
func Read(r io.Reader, path string) (*File, error) {
	in := bufio.NewReaderSize(r, headBytes)
	head, _ := in.Peek(headBytes) // an error comes again
	f := &File{Form: Detect(head)}
	if text := bytes.TrimLeft(head, " \t\r\n"); f.Form == "" && len(text) > 0 && text[0] == '{' {
		f.Form = JSON
	}
	if f.Form == JSON {
		var err error
		f.Table, err = calib.Read(in, path)
		return f, err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, bad(path, err)
	}
	switch f.Form {
	case TRT:
		f.Table, err = parseTRT(b)
	case ORT:
		f.Table, err = parseORT(b)
	case ORTText:
		f.Table, err = parseText(b)
	case ORTJSON:
		f.Table, err = parseORTJSON(b)
	default:
		return nil, bad(path, errors.New("it is no calibration table: neither ours, nor TensorRT's cache, nor one of ONNX Runtime's"))
	}
	if err != nil {
		return nil, bad(path, err)
	}
	f.Notes = notes(f.Form)
	return f, nil
}

// ReadFile reads the table at path.
func ReadFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading the calibration table", path, err)
	}
	defer func() { _ = f.Close() }()
	return Read(f, path)
}

func bad(path string, err error) error {
	return fault.Wrap(fault.Input, "reading the calibration table", path, err, "make the file again, or take the offending lines out")
}

// notes are what a form does not tell of a table.
func notes(f Form) []string {
	unknown := "the file names neither model nor text: what they are is for you to know"
	if f == ORTJSON {
		return []string{unknown}
	}
	return []string{"the file has one magnitude a tensor: lo is -amax and hi is amax, whatever was seen", unknown}
}

// Options say how a table is written.
type Options struct {
	TRT Version // the TensorRT that will read a cache; the zero value means [DefaultTRT]
}

// Write writes a table in a form of [Writable]. A foreign form takes positive
// magnitudes only; those it refuses are an error of class input that names all.
func Write(w io.Writer, t *calib.Table, f Form, o Options) error {
	var b []byte
	var err error
	switch f {
	case JSON:
		b, err = t.JSON()
	case TRT:
		b, err = formatTRT(t, o.TRT)
	case ORT:
		b, err = formatORT(t)
	default:
		err = fault.New(fault.Usage, "", "", fmt.Sprintf("a table is not written as %q", string(f)), "choose json, trt or ort")
	}
	if err != nil {
		return explain(f, err)
	}
	_, err = w.Write(b)
	return err
}

// WriteFile writes a table to path, whole or not at all.
func WriteFile(path string, t *calib.Table, f Form, o Options) error {
	return fsx.WriteFile(path, func(w io.Writer) error { return Write(w, t, f, o) })
}

// explain gives an error of writing its class.
func explain(f Form, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.Wrap(fault.Input, "writing a "+f.String(), "", err, "leave these tensors out, or calibrate again")
}

// Doubts are what a reader of the form makes of the table's names otherwise than
// was meant.
func Doubts(t *calib.Table, f Form) []string {
	if f != TRT {
		return nil
	}
	return colons(t)
}
