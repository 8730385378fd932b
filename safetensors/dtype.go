package safetensors

import "fmt"

// maxBytes bounds every size, so that sums of two never overflow.
const maxBytes = 1 << 60

// Width is the size of one element in bytes; 0 for an unknown type.
func Width(dtype string) int64 {
	switch dtype {
	case "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0":
		return 1
	case "U16", "I16", "F16", "BF16":
		return 2
	case "U32", "I32", "F32":
		return 4
	case "U64", "I64", "F64", "C64":
		return 8
	}
	return 0
}

// bytesOf is the size of a dense tensor.
func bytesOf(dtype string, shape []int64) (int64, error) {
	n := Width(dtype)
	if n == 0 {
		return 0, fmt.Errorf("type %q is not known", dtype)
	}
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d != 0 && n > maxBytes/d {
			return 0, fmt.Errorf("shape %v is larger than any file", shape)
		}
		n *= d
	}
	return n, nil
}
