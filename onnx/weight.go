package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unsafe"

	"github.com/x448/float16"
)

// Data is the bytes of a tensor: dense, row-major, little-endian.
type Data interface {
	Size() int64       // bytes
	Reader() io.Reader // from the first byte; may be called any number of times
}

// Segment is a range of a file, read by offset and never mapped: mapped pages
// would count as resident memory.
type Segment struct {
	File   io.ReaderAt
	Offset int64 // bytes from the beginning of File
	Length int64 // bytes
}

// Size is the length in bytes.
func (s Segment) Size() int64 { return s.Length }

// Reader reads the range once.
func (s Segment) Reader() io.Reader { return io.NewSectionReader(s.File, s.Offset, s.Length) }

// Memory is a tensor's bytes held in memory, for what is small or made on the spot.
type Memory []byte

// Size is the length in bytes.
func (m Memory) Size() int64 { return int64(len(m)) }

// Reader reads the bytes once.
func (m Memory) Reader() io.Reader { return bytes.NewReader(m) }

// Weight is a named constant of a graph.
type Weight struct {
	Name string
	Type DType
	Dims []int64
	Data Data
}

// Bytes reads the whole weight; for scalars, biases and tests. It fails if the
// data are shorter than the shape says.
func (w *Weight) Bytes() ([]byte, error) {
	b := make([]byte, w.Data.Size())
	r := w.Data.Reader()
	defer release(r)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("reading weight %q: %w", w.Name, err)
	}
	return b, nil
}

// release ends a reader that was not read to its end.
func release(r io.Reader) {
	if c, ok := r.(io.Closer); ok {
		_ = c.Close()
	}
}

// chunk is how many elements Each converts at a time: 256 KiB of float32.
const chunk = 64 << 10

// Each calls visit with consecutive pieces of a float weight (float32, float16
// or bfloat16), converted to float32. The slice is reused; base is the index
// of its first element in row-major order.
func (w *Weight) Each(visit func(base int64, values []float32) error) error {
	size := w.Type.Bits() / 8
	decode, ok := decoders[w.Type]
	if !ok {
		return fmt.Errorf("reading weight %q: %s is not a float type of weights", w.Name, w.Type)
	}
	r := w.Data.Reader()
	defer release(r)
	values := make([]float32, chunk)
	raw, direct := inMemory(values), w.Type == Float32 && littleEndian
	if !direct {
		raw = make([]byte, chunk*size)
	}
	total := w.Data.Size() / size
	for base := int64(0); base < total; base += chunk {
		n := min(chunk, total-base)
		if _, err := io.ReadFull(r, raw[:n*size]); err != nil {
			return fmt.Errorf("reading weight %q: %w", w.Name, err)
		}
		if !direct {
			decode(values[:n], raw[:n*size])
		}
		if err := visit(base, values[:n]); err != nil {
			return err
		}
	}
	return nil
}

// inMemory are the bytes of values themselves: where the machine orders bytes as
// files do, float32 needs no conversion.
func inMemory(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Float32s reads a float weight as a whole; for what is small.
func (w *Weight) Float32s() ([]float32, error) {
	var all []float32
	err := w.Each(func(_ int64, v []float32) error {
		all = append(all, v...)
		return nil
	})
	return all, err
}

var decoders = map[DType]func(dst []float32, src []byte){
	Float32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	Float16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float16.Frombits(binary.LittleEndian.Uint16(src[2*i:])).Float32()
		}
	},
	BFloat16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	},
}

var encoders = map[DType]func(dst []byte, src []float32){
	Float32: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	},
	Float16: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], float16.Fromfloat32(v).Bits())
		}
	},
}

// Convert is w in another float type, converted while it is read (to float16:
// round to nearest, ties to even; beyond 65,504 to infinity). w is returned as
// it is where it has that type already.
func (w *Weight) Convert(to DType) (*Weight, error) {
	if w.Type == to {
		return w, nil
	}
	if decoders[w.Type] == nil || encoders[to] == nil {
		return nil, fmt.Errorf("converting weight %q: no conversion from %s to %s", w.Name, w.Type, to)
	}
	size, err := to.Bytes(w.Dims)
	if err != nil {
		return nil, fmt.Errorf("converting weight %q: %w", w.Name, err)
	}
	return &Weight{Name: w.Name, Type: to, Dims: w.Dims, Data: Generated{
		Length: size,
		Write: func(out io.Writer) error {
			buf := make([]byte, chunk*to.Bits()/8)
			return w.Each(func(_ int64, v []float32) error {
				b := buf[:int64(len(v))*to.Bits()/8]
				encoders[to](b, v)
				_, err := out.Write(b)
				return err
			})
		},
	}}, nil
}

// Generated is data that a function writes whenever they are read.
type Generated struct {
	Length int64                   // bytes that Write writes
	Write  func(w io.Writer) error // must write the same bytes at every call
}

// Size is the length in bytes.
func (g Generated) Size() int64 { return g.Length }

// Reader runs Write in a goroutine that ends with the reader's last byte; who
// stops earlier closes the reader, which is an [io.Closer]. Copying through
// [io.Copy] needs no goroutine: the reader is an [io.WriterTo].
func (g Generated) Reader() io.Reader { return &generatedReader{write: g.Write} }

type generatedReader struct {
	write func(w io.Writer) error
	pipe  *io.PipeReader
}

func (r *generatedReader) Read(p []byte) (int, error) {
	if r.pipe == nil {
		pr, pw := io.Pipe()
		r.pipe = pr
		go func() { pw.CloseWithError(r.write(pw)) }()
	}
	return r.pipe.Read(p)
}

// WriteTo generates straight into w: io.Copy prefers it, and no pipe is needed.
func (r *generatedReader) WriteTo(w io.Writer) (int64, error) {
	if r.pipe != nil {
		return io.Copy(w, r.pipe)
	}
	n := &counted{w: w}
	err := r.write(n)
	return n.n, err
}

// Close makes a Write that still runs fail.
func (r *generatedReader) Close() error {
	if r.pipe == nil {
		return nil
	}
	return r.pipe.Close()
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Floats is a float32 weight held in memory.
func Floats(name string, dims []int64, values ...float32) *Weight {
	b := make([]byte, 4*len(values))
	encoders[Float32](b, values)
	return &Weight{Name: name, Type: Float32, Dims: dims, Data: Memory(b)}
}

// Ints is an int64 weight held in memory.
func Ints(name string, dims []int64, values ...int64) *Weight {
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return &Weight{Name: name, Type: Int64, Dims: dims, Data: Memory(b)}
}
