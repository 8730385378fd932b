package orttrt

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/testenv"
)

// TestMain lets the test binary be the ONNX Runtime child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		os.Exit(ort.Serve(map[string]child.Job{JobBuild: Build}))
	}
	os.Exit(m.Run())
}

// released is a builder of the released GPU build of ONNX Runtime.
func released(t *testing.T) *Builder {
	build := testenv.GPUBuild(t)
	return &Builder{ONNXRuntime: build.Version, TensorRT: "10", GPU: "none",
		Start: func(_ context.Context, env []string, log io.Writer) (Child, error) {
			return &ort.Client{Library: build.Library, Dirs: build.Dirs, Env: env, Log: log}, nil
		}}
}

// TestReleasedProviderWithoutTensorRT: the library says what it lacks, and that is an
// error of class missing, not a session on another provider.
func TestReleasedProviderWithoutTensorRT(t *testing.T) {
	if _, err := runtimes.FindTRT(); err == nil {
		t.Skip("this machine has TensorRT")
	}
	_, err := released(t).Build(t.Context(), request(t), t.TempDir(), progress.Noop)
	if fault.Classify(err) != fault.Missing || !strings.Contains(err.Error(), "libnvinfer.so.10") {
		t.Errorf("%s: %v", fault.Classify(err), err)
	}
	b := released(t)
	b.Plugin = "/absent/libonnxruntime_providers_tensorrt_plugin.so"
	_, err = b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
	if fault.Classify(err) != fault.Missing || !strings.Contains(err.Error(), b.Plugin) {
		t.Errorf("plugin: %s: %v", fault.Classify(err), err)
	}
}
