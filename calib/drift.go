package calib

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Drift is how a table differs from the one that is committed.
type Drift struct {
	Limit   float64       `json:"limit_percent"`
	Other   []string      `json:"other"`   // what else differs: model, method; a sentence each
	Missing []string      `json:"missing"` // tensors that only the committed table has
	New     []string      `json:"new"`     // tensors that only the new one has
	Tensors []TensorDrift `json:"tensors"` // of both, by name
}

// TensorDrift is how the amax of a tensor moved.
type TensorDrift struct {
	Tensor  string  `json:"tensor"`
	Was     float32 `json:"was"`
	Is      float32 `json:"is"`
	Percent float64 `json:"percent"` // by how many percent of what it was it moved, up or down; 100 from or to 0
	Exceeds bool    `json:"exceeds"` // that is more than the limit
}

// Compare finds everything in which a table differs from the committed one. limit
// is in percent and concerns the amax of each tensor. Another text is no
// difference: that the ranges hold on it is what is asked.
func Compare(committed, now *Table, limit float64) *Drift {
	d := &Drift{Limit: limit}
	if committed.Model != now.Model {
		d.Other = append(d.Other, fmt.Sprintf("the committed table is of model %s, this one of %s", committed.Model, now.Model))
	}
	if committed.Method != now.Method {
		d.Other = append(d.Other, fmt.Sprintf("the committed table was made by %s, this one by %s", committed.Method, now.Method))
	}
	for _, name := range slices.Sorted(maps.Keys(committed.Ranges)) {
		was := committed.Ranges[name].Amax
		is, ok := now.Ranges[name]
		if !ok {
			d.Missing = append(d.Missing, name)
			continue
		}
		t := TensorDrift{Tensor: name, Was: was, Is: is.Amax}
		switch was {
		case is.Amax:
		case 0:
			t.Percent = 100
		default:
			t.Percent = 100 * (float64(is.Amax)/float64(was) - 1)
		}
		t.Exceeds = t.Percent > limit || -t.Percent > limit
		d.Tensors = append(d.Tensors, t)
	}
	for _, name := range slices.Sorted(maps.Keys(now.Ranges)) {
		if _, ok := committed.Ranges[name]; !ok {
			d.New = append(d.New, name)
		}
	}
	return d
}

// Findings are all differences that fail a check, a sentence each.
func (d *Drift) Findings() []string {
	all := slices.Clone(d.Other)
	for _, name := range d.Missing {
		all = append(all, fmt.Sprintf("tensor %s is not in this table", name))
	}
	for _, name := range d.New {
		all = append(all, fmt.Sprintf("tensor %s is not in the committed table", name))
	}
	for _, t := range d.Tensors {
		if t.Exceeds {
			all = append(all, fmt.Sprintf("amax of tensor %s moved by %+.2f %% (%.5g, now %.5g), the limit is %g %%", t.Tensor, t.Percent, t.Was, t.Is, d.Limit))
		}
	}
	return all
}

// Err is nil where nothing differs by more than the limit, and otherwise an
// error of class gate that holds all findings.
func (d *Drift) Err() error {
	all := d.Findings()
	if len(all) == 0 {
		return nil
	}
	return fault.New(fault.Gate, "checking the calibration", "", strings.Join(all, "; "),
		"find out what changed in the model or the text; commit the new table if it is meant")
}
