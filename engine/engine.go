// Package engine says what is to be built, what was built, and what makes the two
// the same thing.
//
// A [Request] names a model, a plan of profiles, a precision and a target. A
// [Builder] (engine/ortcpu, engine/rtx) turns it into a file and a [Manifest], the
// record of what the builder really did. [Key] is the sha256 over everything that
// changes the result, so an engine is found by what it is and a stale one never
// is. [Achieved] holds the request against the builder's own account: an engine
// asked for as INT8 that runs no INT8 is a failed build, not a slow engine.
//
//	key := engine.Key(request, builder.Revision())
//	manifest, err := builder.Build(ctx, request, dir, counter)
//
// It does not run engines (lm) and does not know backends.
package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
)

// Precision is the narrowest type that an engine's large matrix products use.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	FP16 Precision = "fp16"
	BF16 Precision = "bf16"
	INT8 Precision = "int8"
	W8   Precision = "w8" // weights in INT8, products in float: the account of products cannot tell
)

// Request is an engine that is wanted. The graph decides the precision;
// Precision says which one is expected of it.
type Request struct {
	Name        string // how reports call it; changes nothing
	Backend     string // ortcpu, rtx
	Precision   Precision
	Model       string // path of the typed graph
	ModelDigest string // onnx.Model.Digest of it
	Contract    *contract.Contract
	Plan        *profiles.Plan    // nil where a backend has no profiles
	Target      string            // "" is the machine itself, or a portable plan
	Options     map[string]string // of the backend, each of which changes the engine
}

// KVScale is the scale of the cache's values, as the contract has it: engines with
// different ones cannot take over each other's cache.
func (r Request) KVScale() string {
	if r.Contract == nil {
		return ""
	}
	return r.Contract.KVScale
}

// Builder turns requests into engines.
type Builder interface {
	// Revision is everything about the builder that changes its output: name,
	// version, and what it takes from the machine.
	Revision() string
	// Build writes the engine into dir, an existing directory, and nothing
	// elsewhere; the caller keeps dir or removes it. A cancelled context ends the
	// build at once. The manifest states what was achieved, which Build has
	// compared with the request: a difference is an error of class runtime.
	Build(ctx context.Context, r Request, dir string, p progress.Counter) (*Manifest, error)
}

// recipe is raised whenever a builder of this program makes something else of the same
// inputs, so that a later program does not take an earlier one's engines for its own.
const recipe = 1

// Inputs is everything that the engine of a request depends on, by name; the
// key is its digest. Paths and names are not among it. The contract is, because it
// lies beside the engine and says how to feed it.
func Inputs(r Request, revision string) map[string]string {
	in := map[string]string{
		"recipe": fmt.Sprint(recipe), "backend": r.Backend, "precision": string(r.Precision), "model": r.ModelDigest,
		"target": r.Target, "builder": revision,
	}
	if r.Contract != nil {
		in["contract"] = r.Contract.Digest()
	}
	if r.Plan != nil {
		for i, p := range r.Plan.Profiles {
			for _, t := range p.Inputs {
				name := fmt.Sprintf("profile %d %s", i, t.Input)
				if t.Values {
					name += " values" // beside the range of its shape
				}
				in[name] = fmt.Sprint(t.Min, t.Opt, t.Max)
			}
		}
	}
	for k, v := range r.Options {
		in["option "+k] = v
	}
	return in
}

// OptionsOf are the backend's options among the inputs of a key.
func OptionsOf(inputs map[string]string) map[string]string {
	of := map[string]string{}
	for k, v := range inputs {
		if name, ok := strings.CutPrefix(k, "option "); ok {
			of[name] = v
		}
	}
	return of
}

// Key is the sha256 over [Inputs].
func Key(r Request, revision string) string { return KeyOf(Inputs(r, revision)) }

// KeyOf is the sha256 over named inputs in the order of their names.
func KeyOf(in map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(in)) {
		_, _ = fmt.Fprintf(h, "%q=%q\n", k, in[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}
