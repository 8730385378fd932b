package main

import "github.com/spf13/cobra"

func newCalibrateCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure the ranges of activations on real text",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCalibrateConvertCommand(g), newCalibrateShowCommand(g))
	return c
}
