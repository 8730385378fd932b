package keep

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestExplainNamesFieldsAndNoGoTypes(t *testing.T) {
	type inner struct {
		Small float32 `json:"small"`
		Many  []int   `json:"many"`
	}
	for in, want := range map[string]string{
		`{"on":"yes"}`:             `field "on" wants true or false, not a text`,
		`{"in":{"small":1e39}}`:    `field "in.small" wants a number that a float32 holds, not 1e39`,
		`{"in":{"many":{}}}`:       `field "in.many" wants a list, not an object`,
		`{"in":{"many":[1.5]}}`:    `wants a whole number, not 1.5`,
		`[]`:                       "it wants to be an object, not a list",
		`{"onn":true}`:             `field "onn" is not known`,
		`plain`:                    "it is no JSON: byte 1 cannot stand where it does",
		`{"on":`:                   "ends too early|unexpected EOF",
		`{"in":{"small":"1","x":`:  "ends too early|unexpected EOF",
		`{"in":{"small":true},"y"`: "ends too early|unexpected EOF",
	} {
		var v struct {
			On bool  `json:"on"`
			In inner `json:"in"`
		}
		d := json.NewDecoder(bytes.NewReader([]byte(in)))
		d.DisallowUnknownFields()
		err := Explain(d.Decode(&v))
		if err == nil || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if a, b, _ := strings.Cut(want, "|"); !strings.Contains(err.Error(), a) && (b == "" || !strings.Contains(err.Error(), b)) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
	if other := errors.New("x"); !errors.Is(Explain(other), other) || Explain(nil) != nil {
		t.Error("another error was changed")
	}
}
