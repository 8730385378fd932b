package calib

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// saver decides when a [Keeper] saves.
type saver struct {
	Keeper
	next time.Time
}

// savingShare is the part of the time that saving may take, one in so many.
const savingShare = 50

func newSaver(k Keeper) *saver {
	if k.Every == 0 {
		k.Every = 5 * time.Second
	}
	return &saver{k, time.Now().Add(k.Every)}
}

func (s *saver) save(o *Observations) error {
	begun := time.Now()
	if s.Save == nil || begun.Before(s.next) {
		return nil
	}
	err := s.Save(o)
	s.next = time.Now().Add(max(s.Every, savingShare*time.Since(begun)))
	return err
}

// ran notes a batch that was run.
func (o *Observations) ran(p Plan, samples []int) {
	o.Done++
	o.Samples += len(samples)
	o.Tokens += int64(len(samples)) * int64(p.Samples[samples[0]].Len())
}

// continues tells whether the job that would begin as fresh can go on from o. All
// differences are told at once.
func (o *Observations) continues(fresh *Observations) error {
	errs := o.differs(fresh)
	if !slices.Equal(o.Parts, fresh.Parts) {
		errs = append(errs, fmt.Errorf("they are of the parts %v of the plan, not %v", o.Parts, fresh.Parts))
	}
	if o.Done > fresh.Batches || o.Batches != fresh.Batches {
		errs = append(errs, fmt.Errorf("they count %d of %d batches, the plan has %d", o.Done, o.Batches, fresh.Batches))
	}
	return fault.Wrap(fault.Usage, "going on with the calibration from", "saved observations", errors.Join(errs...),
		"remove them to begin anew, or calibrate as they were begun")
}

// differs is what two observations must have in common to belong together.
func (o *Observations) differs(p *Observations) (errs []error) {
	for _, f := range []struct{ what, was, is, flags string }{
		{"model", o.Model, p.Model, ""}, {"text", o.Text, p.Text, ""},
		{"plan", o.Plan, p.Plan, ": another --samples, --prefill, --decode, --batch, --seed or --bind, or another length of the text"},
		{"number of parts", fmt.Sprint(o.Of), fmt.Sprint(p.Of), " (--shard)"},
		{"stop rule", o.Until.String(), p.Until.String(), " (--until-stable)"},
		{"method of the curve", o.Curve.method(), p.Curve.method(), " (--method)"},
	} {
		if f.was != f.is {
			errs = append(errs, fmt.Errorf("their %s is %s, not %s%s", f.what, f.was, f.is, f.flags))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Tensors)) {
		if o.Tensors[name] == nil {
			errs = append(errs, fmt.Errorf("they lack tensor %s (--also)", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Tensors)) {
		if p.Tensors[name] == nil {
			errs = append(errs, fmt.Errorf("they have tensor %s, which is not observed (--also)", name))
		}
	}
	return errs
}
