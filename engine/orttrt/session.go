package orttrt

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
)

// JobBuild is the name of the child's job.
const JobBuild = "build-tensorrt"

// buildRequest asks for the engine of one session.
type buildRequest struct {
	Model    string            `json:"model"`
	Provider ort.Provider      `json:"provider"`
	Config   map[string]string `json:"config,omitempty"`
	Context  string            `json:"context"` // the context model that is written
	Open     ort.Provider      `json:"open"`    // how that is opened
}

// buildResult is what the child saw. Where a node went elsewhere nothing is
// verified: the engine is not wanted.
type buildResult struct {
	Version   string         `json:"version"` // ONNX Runtime's
	BuildMS   float64        `json:"build_ms"`
	VerifyMS  float64        `json:"verify_ms"`
	PeakBytes int64          `json:"peak_bytes"` // the most memory that was resident
	Subgraphs []ort.Subgraph `json:"subgraphs"`
}

// Build creates the session, which builds, and then opens what it left as it will
// be used. It runs in the child.
func Build(_ context.Context, call *child.Call) (any, error) {
	var r buildRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	out := buildResult{Version: ort.Version()}
	call.Progress.SetMax(2)
	call.Progress.Note("building")
	child.ForgetPeak()
	// Not strict: a session that refuses does not say which nodes it refuses.
	s, took, err := open(r.Model, ort.Options{Provider: &r.Provider, Config: r.Config, Record: true})
	if err != nil {
		return nil, err
	}
	out.BuildMS = took
	out.Subgraphs, err = s.Assigned()
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	call.Progress.Set(1)
	if partition(out.Subgraphs, r.Provider) != nil {
		return out, nil
	}
	call.Progress.Note("verifying")
	s, out.VerifyMS, err = open(r.Context, ort.Options{Provider: &r.Open})
	if err != nil {
		return nil, err
	}
	call.Progress.Set(2)
	out.PeakBytes = child.OwnPeak()
	return out, s.Close()
}

// open opens a session and says how many milliseconds that took.
func open(path string, o ort.Options) (*ort.Session, float64, error) {
	begin := time.Now()
	s, err := ort.Open(path, o)
	return s, float64(time.Since(begin).Microseconds()) / 1000, err
}

// builtIn is what ONNX Runtime calls the provider that a GPU build has.
const builtIn = "TensorrtExecutionProvider"

// named is what ONNX Runtime calls a provider.
func named(p ort.Provider) string {
	if p.Library != "" {
		return p.Name
	}
	return builtIn
}

// provider is TensorRT with options, built in or a plugin.
func (b *Builder) provider(options map[string]string, strict bool) ort.Provider {
	if b.Plugin != "" {
		return ort.Provider{Name: PluginName, Library: b.Plugin, Options: options, Strict: strict}
	}
	return ort.Provider{Name: ort.TensorRT, Options: options, Strict: strict}
}

// PluginName is what the plugin form of the provider calls itself.
const PluginName = "TensorRTPluginExecutionProvider"

// config are entries of the session's configuration for a build. A plugin is told
// by ONNX Runtime to write context models, the provider that is built in by its
// options.
func (b *Builder) config(c Choices, at Place) map[string]string {
	if b.Plugin == "" {
		return nil
	}
	embed := "0"
	if c.Embed {
		embed = "1"
	}
	return map[string]string{"ep.context_enable": "1", "ep.context_file_path": at.Context(), "ep.context_embed_mode": embed}
}

// Provider is how an engine of this backend is opened, with the plugin at that path
// where it was built by one. The child wants [engine.GPUEnvironment] too.
func Provider(m *engine.Manifest, plugin string) (ort.Provider, error) {
	c, err := ParseChoices(engine.OptionsOf(m.Inputs))
	return (&Builder{Plugin: plugin}).provider(c.opening(), true), err
}

// opening are the options of a session that opens a context model.
func (c Choices) opening() map[string]string {
	o := c.common()
	maps.Copy(o, map[string]string{"trt_engine_cache_enable": "0", "trt_timing_cache_enable": "0"})
	return o
}
