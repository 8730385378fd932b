package runtimes

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// TRTDownload is where NVIDIA hands out classic TensorRT.
const TRTDownload = "https://developer.nvidia.com/tensorrt"

// FindTRT is an installed classic TensorRT: libnvinfer and, beside it or not,
// libnvonnxparser. trtforge installs none: its wheels on the package index are
// stubs that download elsewhere, and a system package needs root. So a machine
// without it gets a Missing error that says what to run.
func FindTRT() (Runtime, error) {
	dirs := LibraryDirs()
	infer := FindShared("nvinfer", dirs)
	if len(infer) == 0 {
		return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT", "there is no libnvinfer in "+strings.Join(dirs, ", "),
			"on Debian or Ubuntu with NVIDIA's repository: `apt-get install libnvinfer10 libnvonnxparsers10 libnvinfer-bin`; "+
				"elsewhere unpack the archive from "+TRTDownload+" and add its lib directory to LD_LIBRARY_PATH. "+
				"Without a GPU, use backend \"rtx\" (`trtforge setup rtx`)")
	}
	r := Runtime{Name: "trt", Library: infer[0].Path, Brought: "found on this machine", Versions: map[string]string{"libnvinfer": infer[0].Version}}
	parser := FindShared("nvonnxparser", dirs)
	if len(parser) == 0 {
		return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT's ONNX parser",
			fmt.Sprintf("%s is here, libnvonnxparser is not", infer[0].Path), "install libnvonnxparsers"+infer[0].Major()+" of the same version")
	}
	r.Versions["libnvonnxparser"] = parser[0].Version
	return r, nil
}
