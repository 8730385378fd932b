package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
)

// reasons is what `engines why` prints.
type reasons struct {
	Key     string             `json:"key"`
	Hit     bool               `json:"hit"` // the store has it, proved
	Inputs  map[string]string  `json:"inputs"`
	Nearest string             `json:"nearest,omitempty"`
	Differs []store.Difference `json:"differs"`
}

func newEnginesWhyCommand(g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use: "why KEY|DIR", Short: "Show what a key is made of, and how it differs from the nearest engine", Args: cobra.ExactArgs(1),
		Long: `Why prints the inputs that were hashed to the key of an engine, whether a build of them
would be answered from the store, and in which of them it differs from the nearest other
engine there. The engine is one of the store by its key, or the directory that build -o,
a run or another machine wrote. Of an engine that was not built, build --dry-run tells the
same.
` + exitStatus,
		Example: `  trtforge engines why 3f2a9c
  trtforge engines why build/demo/stages/engine/rtx-fp16`,
		RunE: func(_ *cobra.Command, args []string) error { return runEnginesWhy(g, open, args[0]) },
	}
}

func runEnginesWhy(g *globals, open opener, arg string) error {
	m, err := manifestOf(arg, open)
	if errors.Is(err, fs.ErrNotExist) && keyLike(arg) {
		return fault.New(fault.Usage, "explaining", arg, "no engine of that key was built into this store, and a key is a hash: what it was made of stands in the engine's manifest alone",
			"give the flags of its build to `trtforge build MODEL --dry-run`, which tells the key and what differs from the nearest engine; or name the directory that has it; `trtforge engines ls` shows what is here")
	}
	if err != nil {
		return err
	}
	if m.Inputs == nil {
		return fault.New(fault.Input, "explaining", arg, "its manifest has no inputs: it was not built by a store", "name an engine that was built")
	}
	s, err := open()
	if err != nil {
		return err
	}
	r := reasons{Key: m.Key, Inputs: m.Inputs, Differs: []store.Difference{}}
	_, err = s.Get(r.Key)
	r.Hit = err == nil
	near, diff, err := s.Nearest(r.Inputs, r.Key)
	if err != nil {
		return err
	}
	if near != nil {
		r.Nearest, r.Differs = near.Manifest.Key, diff
	}
	return g.print(r, r.write)
}

func (r reasons) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "key\t%s\n", r.Key)
	var inputs []hashed
	for _, k := range slices.Sorted(maps.Keys(r.Inputs)) {
		inputs = append(inputs, hashed{k, orDash(r.Inputs[k])})
	}
	for _, in := range folded(inputs) {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", in.name, in.text)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	how := "miss: the store has no proved engine of this key."
	if r.Hit {
		how = "hit: the store has it, proved."
	}
	if r.Nearest == "" {
		_, err := fmt.Fprintf(w, "\n%s\nIt has no other engine.\n", how)
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\nThe nearest other engine is %.12s. It differs in:\n%s", how, r.Nearest, differText(r.Differs))
	return err
}

// hashed is an input of a key as it is shown.
type hashed struct{ name, text string }

// folded joins the inputs of one profile that have the same range: a model has two for
// each layer.
func folded(all []hashed) (lines []hashed) {
	for i := 0; i < len(all); {
		one, n := all[i], 1
		profile, _, isProfile := strings.Cut(strings.TrimPrefix(one.name, "profile "), " ")
		for isProfile && i+n < len(all) && all[i+n].text == one.text && strings.HasPrefix(all[i+n].name, "profile "+profile+" ") {
			n++
		}
		if n > 1 {
			one.name += fmt.Sprintf(" (and %d more)", n-1)
		}
		lines = append(lines, one)
		i += n
	}
	return lines
}

// differText is a line for each difference.
func differText(all []store.Difference) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var inputs []hashed
	for _, d := range all {
		inputs = append(inputs, hashed{d.Input, orDash(d.Want) + "\tthere " + orDash(d.Have)})
	}
	for _, in := range folded(inputs) {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", in.name, in.text)
	}
	_ = t.Flush() // into memory
	return b.String()
}

func newEnginesVerifyCommand(g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use: "verify [KEY]...", Short: "Prove engines: key, manifest and every file",
		Long: `Verify recomputes the key from the inputs, the seal of the manifest and the sha256 of
every file, of the engines named or of all. Damage is exit status 4.
` + exitStatus,
		Example: "  trtforge engines verify",
		RunE:    func(_ *cobra.Command, args []string) error { return runEnginesVerify(g, open, args) },
	}
}

func runEnginesVerify(g *globals, open opener, args []string) error {
	s, err := open()
	if err != nil {
		return err
	}
	var keys []string
	for _, a := range args {
		key, err := s.Find(a)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if len(args) == 0 {
		all, err := s.List()
		if err != nil {
			return err
		}
		for _, l := range all {
			keys = append(keys, l.Key)
		}
	}
	var errs []error
	proved := []string{}
	for _, k := range keys {
		if _, err := s.Get(k); err != nil {
			errs = append(errs, err)
			continue
		}
		proved = append(proved, k)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return g.print(map[string][]string{"proved": proved}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, plural(len(proved), "engine")+" proved")
		return err
	})
}

// PruneOptions are the flags of engines prune.
type PruneOptions struct {
	MaxSize   string
	OlderThan string
	Damaged   bool
	DryRun    bool
}

// AddFlags declares the flags.
func (o *PruneOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.MaxSize, "max-size", "", "keep at most `SIZE`, for instance 20GiB; the least recently used go first")
	f.StringVar(&o.OlderThan, "older-than", "", "remove what was not used for an `AGE`, for instance 30d or 12h")
	f.BoolVar(&o.Damaged, "damaged", false, "remove engines that cannot be proved")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be removed, and remove nothing")
}

func newEnginesPruneCommand(g *globals, open opener) *cobra.Command {
	var opts PruneOptions
	c := &cobra.Command{
		Use: "prune", Short: "Remove engines by size, by age, or because they are damaged", Args: cobra.NoArgs,
		Long: `Prune removes engines beyond the limits given, and what killed builds left. It says
which. With --damaged it proves every engine, which reads all of its files. An engine
that is being built is left alone. Sizes are those on disk.
` + exitStatus,
		Example: "  trtforge engines prune --max-size 20GiB --older-than 30d --dry-run",
		RunE: func(c *cobra.Command, _ []string) error {
			limits, err := opts.limits()
			if err != nil {
				return err
			}
			s, err := open()
			if err != nil {
				return err
			}
			left, err := s.Sweep(opts.DryRun)
			if err != nil {
				return err
			}
			removed, err := s.Prune(c.Context(), limits, opts.DryRun)
			did := "removed"
			if opts.DryRun {
				did = "would be removed"
			}
			if left > 0 {
				g.Log.Info(plural(left, "leftover") + " of killed builds " + did)
			}
			if err == nil && left == 0 && len(removed) == 0 {
				g.Log.Info("nothing to remove")
			}
			return errors.Join(g.printEngines(removed, " "+did), err)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func (o PruneOptions) limits() (l store.Limits, err error) {
	l.Damaged = o.Damaged
	if o.MaxSize != "" {
		if l.MaxBytes, err = parseSize(o.MaxSize); err != nil {
			return l, fault.Wrap(fault.Usage, "", "", err, "write --max-size 20GiB, 20GB or 500MB")
		}
	}
	if o.OlderThan != "" {
		if l.MaxAge, err = parseAge(o.OlderThan); err != nil {
			return l, fault.Wrap(fault.Usage, "", "", err, "write --older-than 30d or 12h")
		}
	}
	if l == (store.Limits{}) {
		return l, fault.New(fault.Usage, "", "", "prune was given no limit", "give --max-size, --older-than or --damaged")
	}
	return l, nil
}

// units are those of a size, the longer names of one ending first.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
}

// parseSize reads a number of bytes with its unit, of 1024 or of 1000.
func parseSize(text string) (int64, error) {
	for _, unit := range units {
		if number, ok := strings.CutSuffix(text, unit.name); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || !(n > 0 && n <= 1<<20) { // NaN is neither
				break
			}
			return int64(n * unit.bytes), nil
		}
	}
	return 0, fmt.Errorf("%q is not a size", text)
}

// parseAge reads a duration; days too, which Go's own parser does not know.
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err == nil && n > 0 && n < 1<<16 {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
		return 0, fmt.Errorf("%q is not an age", text)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not an age", text)
	}
	return d, nil
}
