//go:build cgo

package ort

import (
	"strings"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
)

// Init loads libonnxruntime into this process, once; there is no way to load
// another. A library that is missing, is none or is too old is fault.Missing.
func Init(library string) error {
	const fix = "run trtforge setup ort, or name another library"
	if library == "" {
		return fault.New(fault.Missing, "loading", "libonnxruntime", "no path is given", fix)
	}
	if ortgo.IsInitialized() {
		return fault.New(fault.Runtime, "loading", library, "this process has a library loaded already", "")
	}
	ortgo.SetSharedLibraryPath(library)
	err := ortgo.InitializeEnvironment()
	if err == nil {
		return fault.Wrap(fault.Missing, "loading", library, nativeLoad(library), fix)
	}
	cause := strings.TrimPrefix(err.Error(), "Platform-specific initialization failed: ")
	switch {
	case strings.Contains(cause, "setting ORT API base"):
		cause = "this ONNX Runtime is too old: API version 29 is needed, which 1.29 was the first to have"
	case strings.Contains(cause, "looking up OrtGetApiBase"):
		cause = "this library is not ONNX Runtime: it has no OrtGetApiBase"
	default: // dlopen's own words name the file
		if _, after, found := strings.Cut(cause, `": `); found {
			cause = after
		}
	}
	return fault.New(fault.Missing, "loading", library, cause, fix)
}

// Version is the loaded library's, or "" before Init.
func Version() string {
	if !ortgo.IsInitialized() {
		return ""
	}
	return ortgo.GetVersion()
}
