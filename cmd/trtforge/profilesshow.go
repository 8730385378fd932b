package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
	"github.com/trtforge/trtforge/report"
)

// ShowOptions are the flags of profiles show.
type ShowOptions struct {
	GraphFlags
	From string
	All  bool
	HTML string
}

// AddFlags declares the flags.
func (o *ShowOptions) AddFlags(f *pflag.FlagSet) {
	fromFlag(f, &o.From)
	f.BoolVar(&o.All, "all", false, "a line for each input, where inputs of the same shapes would share one")
	f.StringVar(&o.HTML, "html", "", "write a page with a map of past and new tokens for each batch to `FILE`; needs a plan, or a graph")
	o.GraphFlags.AddFlags(f)
}

func newProfilesShowCommand(g *globals) *cobra.Command {
	var opts ShowOptions
	c := &cobra.Command{
		Use:   "show FILE|-",
		Short: "Print the profiles in a file as a table",
		Long: `Show reads profiles in any form (a plan, an engine's manifest, ONNX Runtime's
.profile, text of any tool's syntax) and prints them. A ? is a size that the file does
not tell: a .profile knows dynamic dimensions only. With --model these
are filled in and every dimension gets its role.
` + exitStatus,
		Example: `  trtforge profiles show plan.json
  trtforge profiles show engine.profile --model model.onnx
  trtforge profiles show build.sh
  trtforge profiles show plan.json --html plan.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runShow(opts, g, args[0], c.InOrStdin()) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// shownProfiles is what show prints as JSON.
type shownProfiles struct {
	Form     string         `json:"form"`
	Profiles []shownProfile `json:"profiles"`
}

type shownProfile struct {
	Name   string       `json:"name,omitempty"`
	Inputs []shownRange `json:"inputs"`
}

type shownRange struct {
	Input  string          `json:"input"`
	Min    []*int64        `json:"min"` // null = the file does not tell
	Opt    []*int64        `json:"opt"`
	Max    []*int64        `json:"max"`
	Values bool            `json:"values,omitempty"`
	Roles  []contract.Role `json:"roles,omitempty"`
}

func runShow(o ShowOptions, g *globals, path string, in io.Reader) error {
	c, err := o.load()
	if err != nil {
		return err
	}
	l, err := loadProfilesBy(syntax.ParseLoose, path, o.From, c, in) // what is missing shows as -
	if err != nil {
		return err
	}
	if o.HTML != "" {
		if err := writeProfilesPage(o.HTML, l, c); err != nil {
			return err
		}
	}
	shown := shownProfiles{Form: l.Form}
	roles := rolesOf(c)
	for _, p := range l.Profiles {
		s := shownProfile{Name: p.Name}
		for _, r := range p.Inputs {
			s.Inputs = append(s.Inputs, shownRange{r.Input, knownSizes(r.Min), knownSizes(r.Opt), knownSizes(r.Max), r.Values, roles[r.Input]})
		}
		shown.Profiles = append(shown.Profiles, s)
	}
	return g.print(shown, func(w io.Writer) error { return writeProfiles(w, l, roles, o.All) })
}

// writeProfilesPage writes the page of a plan with the proof that it carries, or of
// profiles in any other form with what they hold.
func writeProfilesPage(path string, l *loadedProfiles, c *contract.Contract) error {
	page := report.Profiles{CreatedBy: createdBy(), Title: filepath.Base(l.Path), Source: l.Form, Plan: l.Plan}
	switch {
	case l.Plan == nil && c == nil:
		return fault.New(fault.Usage, "drawing", l.Path, "what its dimensions mean is not known", "name the graph with --model")
	case l.Plan == nil:
		page.Plan = &profiles.Plan{Profiles: profiles.WithSpans(c, l.Profiles)}
	case c != nil:
		page.Gaps = profiles.Check(c, l.Plan.Profiles, l.Plan.Demand, l.Plan.Reach)
	}
	return fsx.WriteFile(path, func(w io.Writer) error { return report.ProfilesHTML(w, page) })
}

// knownSizes is a shape with nil for what is unknown.
func knownSizes(shape []int64) []*int64 {
	all := make([]*int64, len(shape))
	for i, n := range shape {
		if n != profiles.Unknown {
			all[i] = &n
		}
	}
	return all
}

// rolesOf is the roles of each input's dimensions; nil has none.
func rolesOf(c *contract.Contract) map[string][]contract.Role {
	if c == nil {
		return nil
	}
	roles := map[string][]contract.Role{}
	for _, t := range c.Inputs {
		for _, d := range t.Dims {
			roles[t.Name] = append(roles[t.Name], d.Role)
		}
	}
	return roles
}

// shownRow is a line of the table: an input, how many more are as it is, and what
// stands beside them.
type shownRow struct {
	input string
	more  int
	text  string
}

// writeProfiles prints a table. Inputs of the same shapes and roles share a line
// unless all are wanted.
func writeProfiles(w io.Writer, l *loadedProfiles, roles map[string][]contract.Role, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "PROFILE\tINPUT\tMIN\tOPT\tMAX"
	if roles != nil {
		head += "\tROLES"
	}
	_, _ = fmt.Fprintln(t, head)
	for i, p := range l.Profiles {
		name := strings.TrimSpace(strconv.Itoa(i) + " " + p.Name)
		for _, row := range profileRows(p, roles, all) {
			if row.more > 0 {
				row.input += fmt.Sprintf(" (and %d more)", row.more)
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", name, row.input, row.text)
			name = ""
		}
	}
	return t.Flush()
}

func profileRows(p profiles.Profile, roles map[string][]contract.Role, all bool) []shownRow {
	var rows []shownRow
	at := map[string]int{}
	for _, r := range p.Inputs {
		text := sizesText(r.Min) + "\t" + sizesText(r.Opt) + "\t" + sizesText(r.Max)
		if roles != nil {
			text += "\t" + rolesText(roles[r.Input])
		}
		if i, seen := at[text]; seen && !all {
			rows[i].more++
			continue
		}
		at[text] = len(rows)
		rows = append(rows, shownRow{input: inputText(r), text: text})
	}
	return rows
}

func inputText(r profiles.Range) string {
	if r.Values {
		return r.Input + " values"
	}
	return r.Input
}

func rolesText(roles []contract.Role) string {
	parts := make([]string, len(roles))
	for i, r := range roles {
		parts[i] = string(r)
	}
	return strings.Join(parts, ",")
}

// sizesText is a shape as people write it.
func sizesText(shape []int64) string {
	if len(shape) == 0 {
		return "-"
	}
	parts := make([]string, len(shape))
	for i, n := range shape {
		if parts[i] = strconv.FormatInt(n, 10); n == profiles.Unknown {
			parts[i] = "?"
		}
	}
	return strings.Join(parts, "x")
}
