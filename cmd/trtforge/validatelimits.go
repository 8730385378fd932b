package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/trtforge/trtforge/gate"
)

// limits are those of the file, else the study's, with the flags' above them.
func (o *ValidateOptions) limits() (map[string]gate.Limits, error) {
	limits := map[string]gate.Limits{}
	if o.Gate != "" {
		var err error
		if limits, err = gate.ReadFile(o.Gate); err != nil {
			return nil, err
		}
	} else {
		limits = gate.Study(limits)
	}
	for _, precision := range []string{"fp32", "fp16", "bf16", "int8", "w8"} {
		for name, l := range o.Limits {
			if limits[precision] == nil {
				limits[precision] = gate.Limits{}
			}
			limits[precision][name] = l
		}
	}
	return limits, nil
}

// limit is a flag that sets one of the limits.
type limit struct {
	of   gate.Limits
	name string
}

// Set is how pflag hands over the value.
func (l limit) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number above 0", s)
	}
	l.of[l.name] = v
	return nil
}

// String is the value; pflag shows no default for an empty one.
func (l limit) String() string {
	if v, ok := l.of[l.name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// Type is what help calls the value.
func (l limit) Type() string { return "number" }
