package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// chunk is how much is read at a time: it stays in a core's cache between the
// read, the check and the write.
const chunk = 512 << 10

// finite is the tensor's bytes as they are; reading fails at the first value
// that is not a finite number.
func finite(dir, name string, dtype onnx.DType, t stored) onnx.Data {
	return onnx.Generated{Length: t.info.Length, Write: func(w io.Writer) error {
		buf := make([]byte, min(chunk, t.info.Length))
		for done := int64(0); done < t.info.Length; {
			b := buf[:min(chunk, t.info.Length-done)]
			if _, err := t.file.ReadAt(b, t.info.Offset+done); err != nil {
				return fault.Wrap(fault.Input, "reading", t.file.Name(), fmt.Errorf("tensor %s: %w", name, err), "get the file again")
			}
			if at := firstNonFinite(b, dtype); at >= 0 {
				element := (done + int64(at)) / (dtype.Bits() / 8)
				return fault.New(fault.Input, "exporting", dir,
					fmt.Sprintf("tensor %s: element %d is NaN or infinite", name, element),
					"find the checkpoint of a training step before the weights were lost")
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
			done += int64(len(b))
		}
		return nil
	}}
}

// exponents are the masks of a type's exponent, repeated over 8 bytes: the
// exponent's bits, its lowest bit, and the bit above it (the sign's). A number
// is NaN or infinite if and only if all bits of its exponent are set, which is
// when adding the lowest one carries into the sign. No carry leaves a number.
func exponents(dtype onnx.DType) (exponent, low, sign uint64) {
	switch dtype {
	case onnx.Float16:
		return 0x7C00_7C00_7C00_7C00, 0x0400_0400_0400_0400, 0x8000_8000_8000_8000
	case onnx.BFloat16:
		return 0x7F80_7F80_7F80_7F80, 0x0080_0080_0080_0080, 0x8000_8000_8000_8000
	}
	return 0x7F80_0000_7F80_0000, 0x0080_0000_0080_0000, 0x8000_0000_8000_0000
}

// firstNonFinite is the offset in bytes of the first number that is NaN or
// infinite; -1 where there is none.
func firstNonFinite(b []byte, dtype onnx.DType) int {
	exponent, low, sign := exponents(dtype)
	width := int(dtype.Bits() / 8)
	at := 0
	for ; len(b)-at >= 32; at += 32 {
		v := b[at : at+32 : at+32]
		w0 := binary.LittleEndian.Uint64(v)&exponent + low
		w1 := binary.LittleEndian.Uint64(v[8:])&exponent + low
		w2 := binary.LittleEndian.Uint64(v[16:])&exponent + low
		w3 := binary.LittleEndian.Uint64(v[24:])&exponent + low
		if (w0|w1|w2|w3)&sign != 0 {
			break
		}
	}
	for ; at < len(b); at += 8 {
		var tail [8]byte // zeros are finite
		copy(tail[:], b[at:])
		if hit := (binary.LittleEndian.Uint64(tail[:])&exponent + low) & sign; hit != 0 {
			return at + bits.TrailingZeros64(hit)/8/width*width
		}
	}
	return -1
}
