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
	"encoding/json"
	"reflect"
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
	if err := json.Unmarshal(b, &extra); err != nil {
		return nil, err
	}
	for name := range extra {
		if has(reflect.TypeOf(v).Elem(), name) {
			delete(extra, name)
		}
	}
	return extra, nil
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
