//go:build cgo

package ort

import (
	stdbytes "bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// compiler is the C compiler, which cgo needs too.
func compiler(t *testing.T) string {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		testenv.Lacking(t, "cc", "there is no C compiler")
	}
	return cc
}

// headers is the directory of the C API's header that onnxruntime_go carries.
func headers(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestPlacesInTheTable holds the entries of native.c against the header.
func TestPlacesInTheTable(t *testing.T) {
	source, err := os.ReadFile("native.c")
	if err != nil {
		t.Fatal(err)
	}
	entries := regexp.MustCompile(`(?m)^ {4}([A-Z]\w+) = (\d+),$`).FindAllStringSubmatch(string(source), -1)
	if len(entries) != 22 {
		t.Fatalf("%d entries", len(entries))
	}
	var program stdbytes.Buffer
	program.WriteString("#include <stddef.h>\n#include \"onnxruntime_c_api.h\"\n")
	for _, e := range entries {
		fmt.Fprintf(&program, "_Static_assert(offsetof(OrtApi, %s) == %s * sizeof(void *), %q);\n", e[1], e[2], e[1])
	}
	for name, value := range map[string]string{"ORT_API_VERSION": "29", "OrtDeviceAllocator": "0", "OrtMemTypeDefault": "0"} {
		fmt.Fprintf(&program, "_Static_assert(%s == %s, %q);\n", name, value, name)
	}
	cmd := exec.Command(compiler(t), "-fsyntax-only", "-I", headers(t), "-x", "c", "-")
	cmd.Stdin = &program
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOnADevice runs the model's cache over memory of a device, which here is the
// CPU's: the same calls as on a GPU give what the ordinary path gives.
func TestOnADevice(t *testing.T) {
	s := open(t, model(t), Options{Device: "Cpu"})
	buffer := func(n int64) []byte {
		b, err := s.Place(n)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	size := int64(3 * 4 * 2)
	caches := [2][]byte{buffer(size), buffer(size)}
	in := feeds()
	y := zeros("y", onnx.Float32, 2, 64)
	var plain []byte // the cache of the ordinary path
	for step := range 3 {
		in[2].Bytes[0], in[2].Bytes[1] = byte(step), 0x3e
		half := onnx.Tensor{Type: onnx.Float16, Dims: []int64{1, int64(step), 4}}
		past, present := half, half
		past.Name, past.Bytes = "past", caches[step%2][:step*8]
		present.Name, present.Dims, present.Bytes = "present", []int64{1, int64(step + 1), 4}, caches[(step+1)%2][:(step+1)*8]
		b, err := s.Bind([]onnx.Tensor{in[0], past, in[2]}, []onnx.Tensor{y, present})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Run(); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(20, func() { err = b.Run() }); n != 0 || err != nil {
			t.Errorf("a run on the device allocates %g times, %v", n, err)
		}
		past.Bytes = plain
		out, err := s.Run([]onnx.Tensor{in[0], past, in[2]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain = out[1].Bytes
		// This device's memory can be read: it is the CPU's.
		got := unsafe.Slice((*byte)(s.device.at(present.Bytes)), len(present.Bytes))
		if !stdbytes.Equal(got, plain) || !stdbytes.Equal(out[0].Bytes, y.Bytes) {
			t.Errorf("step %d: the device's cache is %x, the ordinary one %x", step, got, plain)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPlacing(t *testing.T) {
	path := model(t)
	if b, err := open(t, path, Options{}).Place(8); b != nil || err != nil {
		t.Errorf("a session without a device places %v, %v", b, err)
	}
	s := open(t, path, Options{Device: "Cpu"})
	if _, err := s.Place(1 << 46); fault.Classify(err) != fault.Runtime {
		t.Errorf("70 TB: %v", err)
	}
	if b, err := s.Place(0); err != nil || b == nil || s.device.at(b) == nil {
		t.Errorf("nothing was placed as %v, %v", b, err)
	}
	if _, err := Open(path, Options{Device: "Cuda"}); fault.Classify(err) != fault.Missing {
		t.Errorf("a device that the session does not run on: %v", err)
	}
	b, err := s.Place(64)
	if err != nil {
		t.Fatal(err)
	}
	if begin, within := s.device.at(b), s.device.at(b[24:]); uintptr(within)-uintptr(begin) != 24 {
		t.Errorf("24 bytes behind %v lies %v", begin, within)
	}
	before := len(s.device.places)
	if err := s.Release(b); err != nil || len(s.device.places) != before-1 || s.device.at(b) != nil {
		t.Errorf("released: %v, %d places", err, len(s.device.places))
	}
	if s.Release(b) == nil {
		t.Error("released twice")
	}
	if s.device.at(make([]byte, 8)) != nil {
		t.Error("ordinary memory is taken for the device's")
	}
}

func TestBoundRunUnderOptions(t *testing.T) {
	s := open(t, model(t), Options{Run: map[string]string{"trtforge.test": "1"}})
	if v, err := s.options.GetRunConfigEntry("trtforge.test"); v != "1" || err != nil {
		t.Errorf("the entry is %q, %v", v, err)
	}
	y, present := zeros("y", onnx.Float32, 2, 64), zeros("present", onnx.Float16, 1, 1, 4)
	b, err := s.Bind(feeds(), []onnx.Tensor{y, present})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
	check(t, y, present)
	if err := s.options.Terminate(); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(); err == nil || !strings.Contains(err.Error(), "terminate") {
		t.Errorf("a run that was told to end: %v", err)
	}
}

func TestWhoRunsWhat(t *testing.T) {
	s := open(t, model(t), Options{Record: true})
	all, err := s.Assigned()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(all); got != "[{CPUExecutionProvider [{mm  MatMul}]} {CPUExecutionProvider [{cat  Concat}]}]" {
		t.Errorf("got %s", got)
	}
	if _, err := open(t, model(t), Options{}).Assigned(); err == nil {
		t.Error("a session that recorded nothing tells")
	}
}

// TestSteps gives the runs of one row to another session.
func TestSteps(t *testing.T) {
	path := model(t)
	s := open(t, path, Options{Device: "Cpu"})
	other, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Steps(other, func(in []onnx.Tensor) bool { return in[1].Dims[1] > 0 })
	place, err := s.Place(8)
	if err != nil {
		t.Fatal(err)
	}
	present := onnx.Tensor{Name: "present", Type: onnx.Float16, Dims: []int64{1, 1, 4}, Bytes: place}
	first, err := s.Bind(feeds(), []onnx.Tensor{zeros("y", onnx.Float32, 2, 64), present})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Run(); err != nil {
		t.Fatal(err)
	}
	in := feeds()
	in[1] = onnx.Tensor{Name: "past", Type: onnx.Float16, Dims: []int64{1, 1, 4}, Bytes: place}
	y, grown := zeros("y", onnx.Float32, 2, 64), zeros("present", onnx.Float16, 1, 2, 4)
	second, err := s.Bind(in, []onnx.Tensor{y, grown})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(); err != nil {
		t.Fatal(err)
	}
	if v, _ := grown.Float32s(); len(v) != 8 || v[0] != 1.5 || v[7] != 1.5 {
		t.Errorf("the cache is %v", v)
	}
	if len(s.bounds) != 1 || len(other.bounds) != 1 {
		t.Errorf("%d and %d bindings", len(s.bounds), len(other.bounds))
	}
}

func TestMemoryIsOfTheProvidersDevice(t *testing.T) {
	var none *Provider
	for want, p := range map[int]*Provider{0: {Name: CUDA}, 2: {Name: CUDA, Options: map[string]string{"device_id": "2"}}} {
		if got := p.device(); got != want || none.device() != 0 {
			t.Errorf("%+v is on device %d", p, got)
		}
	}
}

func TestHandles(t *testing.T) {
	for _, path := range [][]string{{"o"}, {"none"}, {"o", "o"}} {
		if _, err := handle(&ortgo.RunOptions{}, path...); err == nil {
			t.Errorf("%v gave a pointer", path)
		}
	}
}

// TestProvidersThatAreNotThere: each is an error of class missing, never a session
// on the CPU.
func TestProvidersThatAreNotThere(t *testing.T) {
	path := model(t)
	load(t)
	empty := filepath.Join(t.TempDir(), "libempty.so")
	source := `#include <stddef.h>
void *CreateEpFactories(const char *n, const void *b, const void *l, void **f, size_t max, size_t *count) { *count = 0; return NULL; }
void *ReleaseEpFactory(void *f) { return NULL; }`
	cmd := exec.Command(compiler(t), "-shared", "-fPIC", "-o", empty, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct { // in this order: a library is registered once, under the name that is asked for first
		name string
		Provider
		class fault.Code
		says  string
	}{
		{"tensorrt", Provider{Name: TensorRT}, fault.Missing, "not enabled in this build"},
		{"cuda", Provider{Name: CUDA}, fault.Missing, "not enabled in this build"},
		{"no such", Provider{Name: "rocm"}, fault.Usage, "none that is built in"},
		{"no library", Provider{Name: "X", Library: "/absent/lib.so"}, fault.Missing, "/absent/lib.so"},
		{"not a plugin", Provider{Name: "X", Library: os.Args[0]}, fault.Missing, os.Args[0]},
		{"no device", Provider{Name: "TensorRTPluginExecutionProvider", Library: empty}, fault.Missing, "shows no device of TensorRTPluginExecutionProvider"},
		{"again", Provider{Name: "TensorRTPluginExecutionProvider", Library: empty}, fault.Missing, "shows no device"},
		{"strict on CPU", Provider{Name: "CPUExecutionProvider", Library: empty, Strict: true}, fault.Runtime, "explicitly"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(path, Options{Provider: &c.Provider})
			if fault.Classify(err) != c.class || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", fault.Classify(err), err)
			}
		})
	}
}

// twoDevices is a plugin that shows the CPU as two devices and refuses a session of
// both, as the TensorRT plugin does, and one of one of them by its number.
const twoDevices = `#include <stdio.h>
#include "onnxruntime_c_api.h"
static const OrtApi *api;
static OrtEpFactory factory;
static const char *name(const OrtEpFactory *f) { (void)f; return "Two"; }
static const char *version(const OrtEpFactory *f) { (void)f; return "1.0.0"; }
static uint32_t vendor(const OrtEpFactory *f) { (void)f; return 1; }
static OrtStatus *devices(OrtEpFactory *f, const OrtHardwareDevice *const *all, size_t n, OrtEpDevice **out, size_t most, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (api->HardwareDevice_Type(all[i]) != OrtHardwareDeviceType_CPU) continue;
        for (int d = 0; d < 2 && *count < most; d++) {
            OrtKeyValuePairs *options;
            api->CreateKeyValuePairs(&options);
            api->AddKeyValuePair(options, "device_id", d ? "1" : "0");
            OrtStatus *bad = api->GetEpApi()->CreateEpDevice(f, all[i], options, options, &out[*count]);
            api->ReleaseKeyValuePairs(options);
            if (bad) return bad;
            ++*count;
        }
        break;
    }
    return NULL;
}
static OrtStatus *create(OrtEpFactory *f, const OrtHardwareDevice *const *all, const OrtKeyValuePairs *const *of, size_t n, const OrtSessionOptions *o, const OrtLogger *l, OrtEp **ep) {
    (void)f, (void)all, (void)o, (void)l;
    static char text[64];
    snprintf(text, sizeof text, "asked for %zu devices, the first is %s", n, api->GetKeyValue(of[0], "device_id"));
    *ep = NULL;
    return api->CreateStatus(ORT_EP_FAIL, text);
}
static void release(OrtEpFactory *f, OrtEp *ep) { (void)f, (void)ep; }
static OrtStatus *transfer(OrtEpFactory *f, OrtDataTransferImpl **out) { (void)f; *out = NULL; return NULL; }
static bool streams(const OrtEpFactory *f) { (void)f; return false; }
OrtStatus *CreateEpFactories(const char *n, const OrtApiBase *base, const OrtLogger *l, OrtEpFactory **out, size_t most, size_t *count) {
    (void)n, (void)l, (void)most;
    api = base->GetApi(23);
    factory = (OrtEpFactory){.ort_version_supported = 23, .GetName = name, .GetVendor = name, .GetVendorId = vendor, .GetVersion = version,
        .GetSupportedDevices = devices, .CreateEp = create, .ReleaseEp = release, .CreateDataTransfer = transfer, .IsStreamAware = streams};
    out[0] = &factory;
    *count = 1;
    return NULL;
}
OrtStatus *ReleaseEpFactory(OrtEpFactory *f) { (void)f; return NULL; }
`

// TestPluginGetsTheOneDevice: of several, that of the option device_id.
func TestPluginGetsTheOneDevice(t *testing.T) {
	path := model(t)
	load(t)
	library := filepath.Join(t.TempDir(), "libtwo.so")
	cmd := exec.Command(compiler(t), "-shared", "-fPIC", "-I", headers(t), "-o", library, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(twoDevices)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for device, says := range map[string]string{
		"": "asked for 1 devices, the first is 0", "1": "asked for 1 devices, the first is 1", "2": "it shows the devices 0, 1 of Two, and not 2",
	} {
		p := Provider{Name: "Two", Library: library}
		if device != "" {
			p.Options = map[string]string{"device_id": device}
		}
		if _, err := Open(path, Options{Provider: &p}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("device %q: %v", device, err)
		}
	}
}
