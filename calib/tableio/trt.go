package tableio

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
)

// A calibration cache is text: a header that names the TensorRT that wrote it and
// its calibrator, then a line a tensor with the scale, amax/127, as the eight
// hexadecimal digits of a big-endian float32 (TensorRT's sample sampleINT8,
// "Calibration File"; ONNX Runtime's ReadDynamicRange multiplies by 127 again):
//
//	TRT-101303-EntropyCalibration2
//	input_ids: 3c010a14
//
// A name may hold colons and spaces: it ends at the last colon.

// calibrators are those that ever wrote a cache (nvinfer1::CalibrationAlgoType).
var calibrators = []string{"EntropyCalibration2", "EntropyCalibration", "MinMaxCalibration", "LegacyCalibration"}

var trtHeader = regexp.MustCompile(`^TRT-([0-9]{1,7})-([A-Za-z0-9]{1,40})\s*$`)

// firstLine is the first line of a text and what follows.
func firstLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

func isTRT(head []byte) bool { return bytes.HasPrefix(head, []byte("TRT-")) }

func parseTRT(b []byte) (*calib.Table, error) {
	line, rest := firstLine(b)
	m := trtHeader.FindSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("its first line %.80q is no header like TRT-101303-EntropyCalibration2", line)
	}
	if name := string(m[2]); !slices.Contains(calibrators, name) {
		return nil, fmt.Errorf("its calibrator %q is none of TensorRT's: %s", name, strings.Join(calibrators, ", "))
	}
	t := newTable("TensorRT " + string(m[2]))
	for n := 2; len(rest) > 0; n++ {
		if line, rest = firstLine(rest); len(line) == 0 {
			continue
		}
		where := fmt.Sprintf("line %d", n)
		name, amax, err := parseScale(string(line))
		if err != nil {
			t.refuse(where, "%w", err)
			continue
		}
		t.add(where, name, amax)
	}
	return t.done()
}

// parseScale reads "name: 3c010a14". The magnitude is not judged.
func parseScale(line string) (name string, amax float32, err error) {
	at := strings.LastIndexByte(line, ':')
	if at < 0 {
		return "", 0, fmt.Errorf("%.80q has no colon", line)
	}
	digits := strings.TrimSpace(line[at+1:])
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 4 {
		return "", 0, fmt.Errorf("%.80q are not eight hexadecimal digits", digits)
	}
	bits, _ := strconv.ParseUint(digits, 16, 32) // eight digits of hexadecimal fit
	return line[:at], math.Float32frombits(uint32(bits)) * 127, nil
}

func formatTRT(t *calib.Table, v Version) ([]byte, error) {
	number, err := v.number()
	if err != nil {
		return nil, err
	}
	all, err := names(t, func(name string, amax float32) error {
		if strings.ContainsAny(name, "\r\n") {
			return errors.New("a cache has one line a name")
		}
		return magnitude(amax / 127)
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "TRT-%d-%s\n", number, calibrators[0])
	for _, name := range all {
		fmt.Fprintf(&b, "%s: %08x\n", name, math.Float32bits(t.Ranges[name].Amax/127))
	}
	return b.Bytes(), nil
}

// colons are the names that ONNX Runtime's TensorRT provider cuts short: it reads
// them up to the first colon.
func colons(t *calib.Table) []string {
	var all []string
	for name := range t.Ranges {
		if strings.Contains(name, ":") {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return []string{fmt.Sprintf("ONNX Runtime's TensorRT provider reads names up to the first colon and will not find %d of them, as %q: give it the FlatBuffers table", len(all), all[0])}
}

// Version is a release of TensorRT, as 10.13.3.
type Version struct{ Major, Minor, Patch int }

// DefaultTRT is the last release of TensorRT 10 that PyPI has.
var DefaultTRT = Version{10, 16, 1}

var trtVersion = regexp.MustCompile(`^v?([0-9]{1,2})(?:\.([0-9]{1,2}))?(?:\.([0-9]{1,2}))?(?:\.[0-9]+)?$`)

// ParseVersion reads "10", "10.13" or "10.13.3"; what is left out is 0. A version
// that takes no cache of ours is an error of class usage.
func ParseVersion(text string) (v Version, err error) {
	m := trtVersion.FindStringSubmatch(text)
	if m == nil {
		return v, fault.New(fault.Usage, "", "", fmt.Sprintf("--trt-version %q", text), "want a version of TensorRT 10, as 10.13.3")
	}
	for i, part := range []*int{&v.Major, &v.Minor, &v.Patch} {
		*part, _ = strconv.Atoi("0" + m[i+1]) // digits, few of them
	}
	_, err = v.number()
	return v, err
}

// number is NV_TENSORRT_VERSION of NvInferVersion.h, with which the header begins.
func (v Version) number() (int, error) {
	if v == (Version{}) {
		v = DefaultTRT
	}
	refuse := func(cause, fix string) (int, error) {
		return 0, fault.New(fault.Usage, "writing a "+TRT.String(), "", cause, fix)
	}
	switch {
	case v.Major > 10:
		return refuse(fmt.Sprintf("TensorRT %d has no calibrators and reads no cache", v.Major), "quantize the graph instead (Q/DQ), which every TensorRT takes")
	case v.Major < 10:
		return refuse(fmt.Sprintf("TensorRT %d is not supported", v.Major), "name a release of TensorRT 10")
	}
	return v.Major*10000 + v.Minor*100 + v.Patch, nil
}
