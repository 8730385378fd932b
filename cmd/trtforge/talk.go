package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// talk prints log records the way a person speaks: the message, then what it
// is about; no time, no level.
type talk struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

func (t *talk) Enabled(_ context.Context, l slog.Level) bool { return l >= t.level }

func (t *talk) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range t.attrs {
		add(a)
	}
	r.Attrs(add)
	_, err := fmt.Fprintln(t.w, b.String())
	return err
}

func (t *talk) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &talk{w: t.w, level: t.level, attrs: append(t.attrs[:len(t.attrs):len(t.attrs)], attrs...)}
}

func (t *talk) WithGroup(string) slog.Handler { return t }
