package runtimes

// decisive is, by runtime, the module whose version changes results, and the
// wheel that brings it.
var decisive = map[string][2]string{
	"ort":       {"onnxruntime", "onnxruntime"},
	"rtx":       {"tensorrt_rtx_bindings", "tensorrt-rtx-cu12-bindings"},
	"reference": {"torch", "torch"},
	"trt":       {"onnxruntime-gpu", "onnxruntime-gpu"},
}

// VersionOf is the version of what a runtime is there for, as installed, or as
// this binary pins it where it is not.
func VersionOf(name string) string {
	module := decisive[name]
	if r, ok := Find(name); ok && r.Versions[module[0]] != "" {
		return r.Versions[module[0]]
	}
	lock, err := LockOf(name)
	if err != nil {
		return ""
	}
	return lock.Versions[module[1]]
}

// TextOf is all versions of a runtime, as installed, or as this binary pins them
// where it is not.
func TextOf(name string) string {
	if r, ok := Find(name); ok && len(r.Versions) > 0 {
		return r.VersionText()
	}
	return Pinned()[name]
}
