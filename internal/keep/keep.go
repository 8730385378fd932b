// Package keep reads and writes JSON objects without losing the fields that a
// newer writer put there.
//
// A file's type holds what it did not know in an unexported [Fields] and defers to
// this package in its two methods. The type given is one without methods, or
// encoding/json would call them again:
//
//	type plain Table
//
//	func (t *Table) UnmarshalJSON(b []byte) (err error) {
//		t.extra, err = keep.Unmarshal(b, (*plain)(t))
//		return err
//	}
//
//	func (t Table) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(t), t.extra) }
//
// It keeps the fields of the object itself, not of objects inside it.
package keep

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Fields are the fields that a type does not have, as they were written.
type Fields map[string]json.RawMessage

// Unmarshal reads b into v, a pointer to a struct, and returns the fields that
// the struct does not have.
func Unmarshal(b []byte, v any) (Fields, error) {
	if err := json.Unmarshal(b, v); err != nil {
		return nil, err
	}
	extra := Fields{}
	Each(b, func(name string, value []byte) {
		if !has(reflect.TypeOf(v).Elem(), name) {
			extra[name] = slices.Clone(value)
		}
	})
	return extra, nil
}

// Each visits the fields of an object, in their order, with the bytes of each value;
// anything else has none. b must be valid JSON. It looks at each byte once, and inside
// of texts hardly at all, where encoding/json would check and copy all of them.
func Each(b []byte, visit func(name string, value []byte)) {
	var name string
	depth, from := 0, -1 // of the value
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := i + length(b[i:])
			if depth == 1 && from < 0 {
				_ = json.Unmarshal(b[i:end], &name)
			}
			i = end - 1
		case ':':
			if depth == 1 {
				from = i + 1
			}
		case '{', '[':
			if depth++; depth == 1 && b[i] == '[' {
				return
			}
		case '}', ']', ',':
			if depth == 1 && from >= 0 {
				visit(name, bytes.TrimSpace(b[from:i]))
				from = -1
			}
			if b[i] != ',' {
				depth--
			}
		}
	}
}

// length is that of the text which begins b, quotes included.
func length(b []byte) int {
	for at := 1; ; at++ {
		at += bytes.IndexByte(b[at:], '"')
		escapes := at - 1
		for b[escapes] == '\\' {
			escapes--
		}
		if (at-escapes)%2 == 1 {
			return at + 1
		}
	}
}

// Marshal writes the fields of v, a struct, in their order, then the kept ones
// by name.
func Marshal(v any, extra Fields) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || len(extra) == 0 {
		return b, err
	}
	rest, err := json.Marshal(extra)
	if err != nil || string(b) == "{}" {
		return rest, err
	}
	return append(append(b[:len(b)-1], ','), rest[1:]...), nil
}

// has tells whether encoding/json would read name into a field of t. Like it, has
// does not tell "Kind" from "kind": kept, such a field would be written twice.
func has(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag != "" && tag != "-" && strings.EqualFold(tag, name) {
			return true
		}
	}
	return false
}
