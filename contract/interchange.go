package contract

import (
	"errors"
	"fmt"
)

// Interchangeable tells whether the cache that a graph of contract a gives out can
// be the past of a graph of contract b, as when a prefill and a decode engine are
// two: the same layers, shapes and types, and values of the same scale. Whatever
// differs is reported at once.
func Interchangeable(a, b *Contract) error {
	var errs []error
	differ := func(what string, x, y any) {
		if x != y {
			errs = append(errs, fmt.Errorf("%s: %v and %v", what, x, y))
		}
	}
	differ("layers", a.Layers, b.Layers)
	differ("key and value heads", a.Heads, b.Heads)
	differ("head size", a.HeadDim, b.HeadDim)
	if a.Cached() && b.Cached() {
		differ("types of the cache", a.cacheType(a.Outputs), b.cacheType(b.Inputs))
	}
	if a.KVScale != b.KVScale {
		errs = append(errs, fmt.Errorf("scale of the cache's values: %s and %s", scale(a.KVScale), scale(b.KVScale)))
	}
	return errors.Join(errs...)
}

// cacheType is the type of the cache tensors among some.
func (c *Contract) cacheType(all []Tensor) string {
	for _, t := range all {
		if t.Kind == KindPastKey || t.Kind == KindPresentKey {
			return t.Type
		}
	}
	return ""
}

// scale shortens the digest of a cache's factors.
func scale(digest string) string {
	if digest == "" {
		return "as the model makes them"
	}
	return "rescaled by " + digest[:min(len(digest), 12)]
}
