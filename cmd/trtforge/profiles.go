package main

import "github.com/spf13/cobra"

func newProfilesCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "profiles",
		Short: "Derive, prove, translate and compare optimization profiles",
		Long: `Profiles says which shapes an engine is built for. TensorRT refuses every shape
outside them, at run time. These commands derive profiles from a workload, prove
that they hold all of it, and speak the syntax of every tool that takes them.
` + exitStatus,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newProfilesDeriveCommand(g),
		newProfilesCheckCommand(g),
		newProfilesEmitCommand(g),
		newProfilesDiffCommand(g),
		newProfilesShowCommand(g),
	)
	return c
}
