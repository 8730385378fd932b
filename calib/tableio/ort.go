package tableio

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/trtforge/trtforge/calib"
)

// ONNX Runtime's TensorRT provider reads magnitudes from a FlatBuffer of this
// schema (ort_trt_int8_cal_table.fbs), values being decimal text:
//
//	namespace CalTableFlatBuffers;
//	table KeyValue { key: string (required, key); value: string; }
//	table TrtTable { dict: [KeyValue]; }
//
// Its own write_calibration_table puts down max(highest, lowest), which is too
// small where the negative side is the longer one, and the entries in falling
// order; we write amax, in rising order, as the schema's key wants it.

// The fields of the two tables: their places in a vtable.
const (
	fieldDict  = 4
	fieldKey   = 4
	fieldValue = 6
)

// isORT tells a TrtTable by its root: a table with one field, an offset, whose
// vtable lies near the beginning.
func isORT(head []byte) (yes bool) {
	defer guard(func(error) { yes = false })
	root := flatbuffers.Table{Bytes: head, Pos: flatbuffers.GetUOffsetT(head)}
	vtable := flatbuffers.UOffsetT(flatbuffers.SOffsetT(root.Pos) - root.GetSOffsetT(root.Pos))
	size, object := root.GetVOffsetT(vtable), root.GetVOffsetT(vtable+2)
	return root.Pos%4 == 0 && size == 6 && object == 8 && root.GetVOffsetT(vtable+fieldDict) == 4
}

// guard turns a panic of the FlatBuffers reader, which has no other way to say
// that an offset leads out of the buffer, into an error.
func guard(fail func(error)) {
	if p := recover(); p != nil {
		fail(fmt.Errorf("it is a damaged FlatBuffer: %v", p))
	}
}

func parseORT(b []byte) (table *calib.Table, err error) {
	defer guard(func(e error) { table, err = nil, e })
	b = slices.Clip(b) // the reader slices, and would see what lies behind the file
	root := flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
	dict := flatbuffers.UOffsetT(root.Offset(fieldDict))
	if dict == 0 {
		return nil, errors.New("it has no dictionary")
	}
	t := newTable("ONNX Runtime")
	strings := 0
	for i := range root.VectorLen(dict) {
		where := fmt.Sprintf("entry %d", i)
		entry := flatbuffers.Table{Bytes: b, Pos: root.Indirect(root.Vector(dict) + flatbuffers.UOffsetT(4*i))}
		key, value := field(&entry, fieldKey), field(&entry, fieldValue)
		// Entries of a damaged file may share bytes: hold what is kept to its size.
		if strings += len(key) + len(value); strings > len(b) {
			return nil, errors.New("it is a damaged FlatBuffer: its strings are longer than the file")
		}
		amax, err := parseDecimal(string(value))
		if err != nil {
			t.refuse(where, "tensor %.80q: %w", key, err)
			continue
		}
		t.add(where, string(key), amax)
	}
	return t.done()
}

// field is a string of an entry; nil where it is absent.
func field(entry *flatbuffers.Table, at flatbuffers.VOffsetT) []byte {
	o := flatbuffers.UOffsetT(entry.Offset(at))
	if o == 0 {
		return nil
	}
	return entry.ByteVector(entry.Pos + o)
}

// parseDecimal reads a magnitude as std::stof does, without what may follow it.
func parseDecimal(text string) (float32, error) {
	v, err := strconv.ParseFloat(text, 32)
	if err != nil {
		return 0, fmt.Errorf("%.80q is no float32", text)
	}
	return float32(v), nil
}

func formatORT(t *calib.Table) ([]byte, error) {
	all, err := names(t, nil)
	if err != nil {
		return nil, err
	}
	b := flatbuffers.NewBuilder(64 * len(all))
	entries := make([]flatbuffers.UOffsetT, len(all))
	for i, name := range all {
		key := b.CreateString(name)
		value := b.CreateString(strconv.FormatFloat(float64(t.Ranges[name].Amax), 'g', -1, 32))
		b.StartObject(2)
		b.PrependUOffsetTSlot(0, key, 0)
		b.PrependUOffsetTSlot(1, value, 0)
		entries[i] = b.EndObject()
	}
	dict := b.CreateVectorOfTables(entries)
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, dict, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes(), nil
}
