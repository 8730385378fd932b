package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
)

// DoctorOptions are the flags of doctor.
type DoctorOptions struct {
	Need []string
}

// AddFlags declares the flags.
func (o *DoctorOptions) AddFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.Need, "need", nil, "show `NAMES` alone, and end with status 3 unless all of them are here ("+strings.Join(doctor.Needs(), ",")+")")
}

func newDoctorCommand(g *globals) *cobra.Command {
	var opts DoctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has of all that trtforge can use",
		Long: `Doctor looks for the runtimes, the NVIDIA driver and GPUs, TensorRT, trtexec, the
CPU instructions that decide the speed of INT8, memory, disk, and environment
variables that change results silently. For each: whether it is here, its version,
what it enables and what to do if it is missing. With --need it shows what is named
and counts the rest. It changes nothing and takes less than two seconds.
` + exitStatus,
		Example: `  trtforge doctor
  trtforge doctor --need ort,rtx
  trtforge doctor --json | jq '.checks[] | select(.status != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runDoctor(c.Context(), opts, g)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func runDoctor(ctx context.Context, o DoctorOptions, g *globals) error {
	report := doctor.Examine(ctx, doctor.ThisMachine(version))
	lacking := report.Need(o.Need)
	if lacking != nil && (g.JSON || fault.Exit(lacking) == 2) {
		return lacking // with --json one document, which names each thing and its remedy
	}
	return errors.Join(g.print(report, func(w io.Writer) error { return report.WriteNeeded(w, o.Need) }), lacking)
}
