package quant

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/half"
)

// Roles are all roles, in the order in which a decoder has them.
var Roles = []Role{QKV, Scores, Values, AttnOut, FC1, FC2, LMHead, Other}

// Check refuses what is no role.
func (r Role) Check() error {
	if slices.Contains(Roles, r) {
		return nil
	}
	names := make([]string, len(Roles))
	for i, known := range Roles {
		names[i] = string(known)
	}
	return fault.New(fault.Usage, "choosing roles", string(r), "not one that trtforge knows", "want some of "+strings.Join(names, ", "))
}

// Recipe is every choice of a quantization: the steps Smooth, Int8 and Half with
// what each is told. The zero value but for the precision is the default of that
// precision: INT8 takes QKV and FC1, smoothed.
type Recipe struct {
	Precision Precision
	Roles     []Role          // nil: QKV and FC1, or every role but lm_head where weights alone are quantized
	Include   *regexp.Regexp  // nodes that are taken whatever their role; nil = none
	Exclude   *regexp.Regexp  // nodes that are left alone whatever else; nil = none
	Choices   map[string]bool // by node: decides alone where not nil
	ChosenBy  string          // who decided Choices; "" is a decision list
	Smooth    Smoothing
	KeepKV    bool     // fold nothing into values, so that the cache stays interchangeable with the float model's
	IO        []string // types of graph inputs and outputs, in the words of IOTypes
}

// Smoothing is how far SmoothQuant moves a layer's outliers from activations to
// weights: "" or "auto" searches for each fold, "off" folds nothing, a number
// from 0 to 1 is the same alpha for all.
type Smoothing string

// Off tells whether nothing is folded.
func (s Smoothing) Off() bool { return s == "off" }

// Alpha is the fixed alpha; ok is false where it is searched or off.
func (s Smoothing) Alpha() (alpha float64, ok bool) {
	a, err := strconv.ParseFloat(string(s), 64)
	return a, err == nil
}

// Check refuses what is no smoothing.
func (s Smoothing) Check() error {
	if s == "" || s == "auto" || s == "off" {
		return nil
	}
	if a, ok := s.Alpha(); ok && a >= 0 && a <= 1 {
		return nil
	}
	return fault.New(fault.Usage, "choosing the smoothing", string(s), "neither auto, off nor a number from 0 to 1", "write --smooth auto")
}

// Result is what [Apply] made.
type Result struct {
	Model     *onnx.Model
	Source    string       // digest of the model that it was made of
	Table     *calib.Table // of the folded graph; nil where none was given
	Targets   []Target     // all matrix products; nil where nothing was to be quantized
	Decisions []Decision   // what became of each of them
	Folds     []Fold       // what smoothing did for each input of those that are quantized
	Single    []half.Kept  // what computes in float32 inside a narrow graph, and why
	Notes     []string     // what whoever uses the graph must know
}

// Apply makes the typed graph that the recipe describes. Calibrated precisions
// need the table; FP16 keeps in float32 what the table says does not fit. m is not
// changed and is closed after the result. Errors are those of the steps; a table
// of another model is of class input and names both digests, a recipe that
// contradicts itself is of class usage.
func Apply(m *onnx.Model, table *calib.Table, r Recipe) (*Result, error) {
	if err := r.check(table); err != nil {
		return nil, err
	}
	out := &Result{Model: m, Table: table}
	ours := make(chan error, 1) // both read every weight, and neither needs the other
	var digest string
	go func() {
		var err error
		if digest, err = m.Digest(); err == nil && table != nil {
			err = table.Fits(digest)
		}
		ours <- err
	}()
	var made error
	if r.Precision.Quantizes() {
		made = r.quantize(out)
	}
	if err := cmp.Or(<-ours, made); err != nil {
		return nil, err
	}
	out.Source = digest
	return out, r.narrow(out)
}

// check is what is wrong with a recipe before a graph is looked at.
func (r Recipe) check(table *calib.Table) error {
	if err := r.Precision.Check(); err != nil {
		return err
	}
	if err := r.Smooth.Check(); err != nil {
		return err
	}
	switch {
	case r.Precision.Calibrated() && table == nil:
		return fault.New(fault.Usage, "quantizing", "", fmt.Sprintf("%s needs the ranges of activations", r.Precision), "run `trtforge calibrate` and give its table")
	case len(r.IO) > 0 && r.Precision.Float() == onnx.Float32:
		return fault.New(fault.Usage, "quantizing", "", fmt.Sprintf("%s has float32 inputs and outputs only", r.Precision), "choose types of inputs and outputs of an FP16 or BF16 graph")
	}
	return nil
}

// quantize folds and quantizes what the recipe takes.
func (r Recipe) quantize(out *Result) error {
	targets, picks, err := r.pick(out.Model)
	if err != nil {
		return err
	}
	out.Targets = targets
	p := r.policy(picks)
	if out.Model, out.Table, out.Folds, err = r.fold(out.Model, out.Table, p); err != nil {
		return err
	}
	if out.Model, out.Decisions, err = Int8(out.Model, unnamed(out.Table), p); err != nil {
		return err
	}
	for i, d := range out.Decisions {
		reason := picks[d.Node].reason
		if _, more, ok := strings.Cut(d.Reason, "; "); ok {
			reason += "; " + more
		}
		out.Decisions[i].Reason = reason
	}
	if m := cmp.Or(method(out.Table), "absmax"); m != "absmax" && slices.ContainsFunc(out.Folds, func(f Fold) bool { return f.Folded }) {
		out.Notes = append(out.Notes, fmt.Sprintf("inputs that smoothing folded have absmax ranges, not those of the table's method %s, which holds for the others (smooth off: for all)", m))
	}
	if slices.ContainsFunc(out.Folds, func(f Fold) bool { return f.Folded && f.KV }) {
		out.Notes = append(out.Notes, "the cache's values are rescaled by channel: it cannot be handed to or taken from a graph that is not (contract.json: kv_scale)")
	}
	return nil
}

// method is that of a table; "" without one.
func method(t *calib.Table) string {
	if t == nil {
		return ""
	}
	return t.Method
}

// policy takes what was picked and nothing else.
func (r Recipe) policy(picks map[string]pick) Policy {
	p := Policy{Roles: Roles, Exclude: map[string]bool{}, WeightOnly: r.Precision.WeightOnly()}
	if float := r.Precision.Float(); float != onnx.Float32 {
		p.Scales = RoundScales(float, nil) // levels that fit the scales as the graph will hold them
	}
	for node, pick := range picks {
		p.Exclude[node] = !pick.take
	}
	return p
}

// fold smooths what the policy takes.
func (r Recipe) fold(m *onnx.Model, table *calib.Table, p Policy) (*onnx.Model, *calib.Table, []Fold, error) {
	if r.Smooth.Off() || p.WeightOnly {
		return m, table, nil, nil
	}
	o := SmoothOptions{Policy: p, KeepKV: r.KeepKV}
	if a, fixed := r.Smooth.Alpha(); fixed {
		o.Alphas = []float64{a}
	}
	return Smooth(m, table, o)
}

// unnamed is the table without the model that it belongs to, which Apply has
// checked: a digest reads every weight.
func unnamed(t *calib.Table) *calib.Table {
	if t == nil {
		return nil
	}
	c := *t
	c.Model = ""
	return &c
}

// narrow makes everything that is not quantized of the recipe's float type.
func (r Recipe) narrow(out *Result) error {
	float := r.Precision.Float()
	if float == onnx.Float32 {
		return nil
	}
	io, err := half.IOTypes(out.Model, r.IO...)
	if err != nil {
		return err
	}
	out.Model, out.Single, err = half.Convert(out.Model, half.Options{Type: float, Table: out.Table, IO: io})
	return err
}

// pick is whether a matrix product is taken, and why.
type pick struct {
	take   bool
	reason string
}

// pick judges every product of m. Nodes of a decision list that the graph does
// not have, and expressions that match none, are errors that name them.
func (r Recipe) pick(m *onnx.Model) ([]Target, map[string]pick, error) {
	_, found, err := products(m)
	if err != nil {
		return nil, nil, err
	}
	var all []Target
	picks := map[string]pick{}
	for _, l := range found {
		all = append(all, l.target)
		picks[l.target.Node] = r.judge(l.target)
	}
	for _, re := range []*regexp.Regexp{r.Include, r.Exclude} {
		if re != nil && !slices.ContainsFunc(all, func(t Target) bool { return re.MatchString(t.Node) }) {
			return nil, nil, fault.New(fault.Usage, "choosing products", re.String(), "no matrix product's name matches", "look at the names with --dry-run")
		}
	}
	var unknown []string
	for node := range r.Choices {
		if _, ok := picks[node]; !ok {
			unknown = append(unknown, fmt.Sprintf("%q", node))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, nil, fault.New(fault.Input, "using the decision list", strings.Join(unknown, ", "),
			"the graph has no such matrix product", "take them out, or give the model that the list is of")
	}
	return all, picks, obstacles(found, r.policy(picks))
}

func (r Recipe) judge(t Target) pick {
	switch {
	case r.Precision.WeightOnly() && t.Role.batched():
		return pick{false, "it has no weight"}
	case r.Choices != nil && r.Choices[t.Node]:
		return pick{true, cmp.Or(r.ChosenBy, "the decision list") + " takes it"}
	case r.Choices != nil:
		return pick{false, cmp.Or(r.ChosenBy, "the decision list") + " leaves it in high precision"}
	case r.Exclude != nil && r.Exclude.MatchString(t.Node):
		return pick{false, "excluded by name"}
	case r.Include != nil && r.Include.MatchString(t.Node):
		return pick{true, "included by name"}
	case slices.Contains(r.roles(), t.Role):
		return pick{true, "the policy takes " + string(t.Role)}
	}
	return pick{false, fmt.Sprintf("the policy leaves %s in high precision", t.Role)}
}

// roles are those that are taken.
func (r Recipe) roles() []Role {
	switch {
	case r.Roles != nil:
		return r.Roles
	case r.Precision.WeightOnly():
		return []Role{QKV, AttnOut, FC1, FC2}
	}
	return []Role{QKV, FC1}
}

// Probe is the graph in which each product that the recipe takes can be switched
// (see [Probe]), folded as Apply folds it, and those products in the order of the
// flags. The float model is what it computes with no flag set.
func (r Recipe) Probe(m *onnx.Model, table *calib.Table) (*onnx.Model, []Target, error) {
	if err := r.check(table); err != nil {
		return nil, nil, err
	}
	if !r.Precision.Quantizes() {
		return nil, nil, fault.New(fault.Usage, "making the probe", "", fmt.Sprintf("%s quantizes nothing", r.Precision), "choose int8 or w8")
	}
	if table != nil {
		digest, err := m.Digest()
		if err != nil {
			return nil, nil, err
		}
		if err := table.Fits(digest); err != nil {
			return nil, nil, err
		}
	}
	all, picks, err := r.pick(m)
	if err != nil {
		return nil, nil, err
	}
	if r.Precision.WeightOnly() {
		table = nil
	}
	m, table, _, err = r.fold(m, table, r.policy(picks))
	if err != nil {
		return nil, nil, err
	}
	targets := slices.DeleteFunc(all, func(t Target) bool { return !picks[t.Node].take })
	p, err := Probe(m, table, targets)
	return p, targets, err
}

// Targets are the products that the recipe quantizes, in graph order: those
// whose operands a calibration for it must observe ([Observe]).
func (r Recipe) Targets(m *onnx.Model) ([]Target, error) {
	all, picks, err := r.pick(m)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t Target) bool { return !picks[t.Node].take }), nil
}
