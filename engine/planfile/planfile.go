// Package planfile reads the beginning of a TensorRT plan: which builder wrote it,
// for which GPUs, and whether all of it is there.
//
//	h, err := planfile.Read("engine.plan")
//	why := h.Misfit("8.9", "1.7.1.116") // "" where such a machine can run it
//
// NVIDIA documents no layout. The tag, the serialization version and the place of
// the builder's version of a classic plan are those that trtexec
// --getPlanVersionOnly reads. What else stands in a TensorRT for RTX plan was found
// by building one graph for every target with 1.7: the size at byte 16, and a bit
// for each GPU at byte 32. A plan of a later builder is held against neither.
//
// It does not read what follows, which no program but TensorRT can.
package planfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Family is the library that a plan belongs to.
type Family string

// The families.
const (
	TensorRT Family = "tensorrt"
	RTX      Family = "tensorrt-rtx"
)

// Header is what a plan says of itself.
type Header struct {
	Family  Family   `json:"family"`
	Version string   `json:"version"`           // of the builder, "1.7.1.116"
	Targets []string `json:"targets,omitempty"` // GPUs of an RTX plan, "sm89"; nil where it does not say
	Bytes   int64    `json:"bytes,omitempty"`   // that it must have; 0 where it does not say
}

// HeaderBytes is what TensorRT itself calls the engine's header
// (nvinfer1::IRuntime::getEngineHeaderSize).
const HeaderBytes = 64

// tags are the first four bytes of plans.
var tags = map[string]Family{"ftrt": TensorRT, "vtrt": RTX}

// targets are the GPUs of an RTX plan by the bit that stands for each.
var targets = []string{"sm75", "sm80", "sm86", "sm89", "sm120", "sm121"}

// Is tells by its tag whether a file that begins like head is a plan.
func Is(head []byte) bool { return len(head) >= 4 && tags[string(head[:4])] != "" }

// Parse reads a header from the first [HeaderBytes] of a plan.
func Parse(head []byte) (Header, error) {
	if !Is(head) {
		return Header{}, errors.New("it is no TensorRT plan: it begins with neither ftrt nor vtrt")
	}
	if len(head) < HeaderBytes {
		return Header{}, fmt.Errorf("it is cut short: %d bytes of its header, which has %d", len(head), HeaderBytes)
	}
	if v := binary.LittleEndian.Uint32(head[4:]); v != 0 {
		return Header{}, fmt.Errorf("its serialization has version %d, this program reads version 0", v)
	}
	h := Header{Family: tags[string(head[:4])], Version: fmt.Sprintf("%d.%d.%d.%d", head[24], head[25], head[26], head[27])}
	if h.Family != RTX || !strings.HasPrefix(h.Version, "1.") {
		return h, nil
	}
	h.Bytes = int64(min(binary.LittleEndian.Uint64(head[16:]), 1<<62))
	for i, name := range targets {
		if binary.LittleEndian.Uint32(head[32:])>>i&1 != 0 {
			h.Targets = append(h.Targets, name)
		}
	}
	return h, nil
}

// Read reads the header of a plan and sees that the file is as long as that says.
// Errors are of class input.
func Read(path string) (Header, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Header{}, fsx.Explain("reading plan", path, err)
	}
	if !info.Mode().IsRegular() { // a pipe would be waited for
		return Header{}, fault.New(fault.Input, "reading plan", path, "it is no regular file", "check the path")
	}
	f, err := os.Open(path)
	if err != nil {
		return Header{}, fsx.Explain("reading plan", path, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, HeaderBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Header{}, fsx.Explain("reading plan", path, err)
	}
	h, err := Parse(head[:n])
	if err != nil {
		return h, fault.Wrap(fault.Input, "reading plan", path, err, "build the engine again")
	}
	if h.Bytes > 0 && info.Size() != h.Bytes {
		return h, fault.New(fault.Input, "reading plan", path,
			fmt.Sprintf("it has %d bytes and says that it has %d: it was cut or added to", info.Size(), h.Bytes), "copy it again, or build it again")
	}
	return h, nil
}

// Misfit says all that keeps a machine from running the plan whose GPU has that
// compute capability ("8.9") and whose library of the plan's family has that version;
// "" for either is what the machine lacks. The empty answer promises nothing that only
// deserialisation shows: a classic plan does not say its GPU.
func (h Header) Misfit(compute, version string) string {
	var all []string
	sm := "sm" + strings.ReplaceAll(compute, ".", "")
	switch {
	case compute == "":
		all = append(all, "this machine has no NVIDIA GPU that answers")
	case h.Targets != nil && !slices.Contains(h.Targets, sm):
		all = append(all, fmt.Sprintf("it is for %s, this machine's GPU is %s", strings.Join(h.Targets, ", "), sm))
	}
	switch {
	case version == "":
		all = append(all, fmt.Sprintf("no %s is installed here", h.Family))
	case !sameVersion(version, h.Version):
		all = append(all, fmt.Sprintf("it was built by %s %s, installed is %s, and a plan is read by the version that wrote it", h.Family, h.Version, version))
	}
	return strings.Join(all, "; ")
}

// sameVersion compares as far as both say: libnvinfer's file has three numbers, a
// plan four.
func sameVersion(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}
