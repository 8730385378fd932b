package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Explain says what encoding/json found in the words of whoever wrote the file:
// fields and what they want, not the names of Go's types. Other errors pass.
func Explain(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return errors.New("its JSON ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("it is no JSON: byte %d cannot stand where it does", syntax.Offset)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("it wants to be %s, not %s", wanted(kind.Type), found(kind.Value))
	case errors.As(err, &kind):
		return fmt.Errorf("field %q wants %s, not %s", kind.Field, wanted(kind.Type), found(kind.Value))
	case err != nil:
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fmt.Errorf("field %s is not known", name)
		}
	}
	return err
}

// wanted is what a field of that type holds.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number that a " + t.Kind().String() + " holds"
	}
	return "a whole number"
}

// found is encoding/json's word for a value, which the number itself may follow.
func found(value string) string {
	word, rest, _ := strings.Cut(value, " ")
	if rest != "" {
		return rest
	}
	return map[string]string{"bool": "true or false", "string": "a text", "number": "a number", "array": "a list", "object": "an object"}[word]
}
