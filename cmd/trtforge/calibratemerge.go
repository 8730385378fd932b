package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/calib"
)

func newCalibrateMergeCommand(g *globals) *cobra.Command {
	var opts TableOutput
	c := &cobra.Command{
		Use:   "merge OBSERVATIONS... -o TABLE",
		Short: "Join the observations of several jobs into one table",
		Long: `Merge reads what calibrate --shard wrote, every part of one plan in any order, and
writes the table that one job would have written. Parts of another model, text or
plan, a part that is there twice or did not end, and missing parts are refused, all
at once. Of one file of --observations it makes a table by another method, without
running anything.
` + exitStatus,
		Example: `  trtforge calibrate merge part1.json part2.json part3.json -o table.json
  trtforge calibrate merge part*.json --check table.lock.json --github
  trtforge calibrate merge seen.json --method mse -o table.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runCalibrateMerge(opts, g, args) },
	}
	opts.AddFlags(c.Flags())
	return c
}

func runCalibrateMerge(o TableOutput, g *globals, paths []string) error {
	sink, err := o.open()
	if err != nil {
		return err
	}
	var parts []*calib.Observations
	var errs []error
	for _, path := range paths {
		seen, err := calib.ReadObservationsFile(path)
		parts, errs = append(parts, seen), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	seen, err := calib.Merge(parts)
	if err != nil {
		return err
	}
	if len(parts) == 1 {
		seen = parts[0] // with its curve, which parts do not share
	}
	if o.Method == "" && o.Check == "" && parts[0].Curve != nil {
		if sink.method, err = calib.ParseMethod(parts[0].Curve.Method); err != nil {
			return err
		}
	}
	if o.Observations != "" {
		if err := makeParent(o.Observations); err != nil {
			return err
		}
		if err := seen.WriteFile(o.Observations); err != nil {
			return err
		}
	}
	out, err := sink.save(seen)
	if err != nil {
		return err
	}
	return sink.tell(g, out)
}
