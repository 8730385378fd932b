package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/task"
)

const searchFile = "search.json"

// QuantizeConfig says what INT8 engines quantize.
type QuantizeConfig struct {
	Roles     []quant.Role    `toml:"roles"`     // none: qkv and fc1; with a search and for w8 all but lm_head
	Include   string          `toml:"include"`   // regular expression of nodes that are taken whatever their role
	Exclude   string          `toml:"exclude"`   // regular expression of nodes that are left alone
	Smooth    quant.Smoothing `toml:"smooth"`    // auto, off or an alpha; empty = auto
	KeepKV    bool            `toml:"keep_kv"`   // the cache stays interchangeable with the float model's
	Decisions string          `toml:"decisions"` // file: exactly its choice
	Search    string          `toml:"search"`    // text to choose on within the limits; empty = no search
	PPLRatio  float64         `toml:"ppl_ratio_max"`
	KL        float64         `toml:"kl_max"`
	Windows   int             `toml:"windows"` // of 64 tokens; 0 = 8
}

func (q QuantizeConfig) gate() search.Gate { return search.Gate{PPLRatioMax: q.PPLRatio, KLMax: q.KL} }

// check is what is wrong with it before a graph is looked at.
func (q QuantizeConfig) check() []error {
	var errs []error
	for _, r := range q.Roles {
		errs = append(errs, r.Check())
	}
	errs = append(errs, q.Smooth.Check())
	for key, text := range map[string]string{"include": q.Include, "exclude": q.Exclude} {
		if _, err := regexp.Compile(text); err != nil {
			errs = append(errs, fmt.Errorf("[quantize] %s %q is no regular expression: %w", key, text, err))
		}
	}
	switch {
	case q.Search != "":
		errs = append(errs, q.gate().Check())
	case q.gate() != (search.Gate{}):
		errs = append(errs, errors.New("[quantize] ppl_ratio_max and kl_max are limits of a search: name its text with search"))
	}
	if q.Decisions != "" && (len(q.Roles) > 0 || q.Include != "" || q.Exclude != "" || q.Search != "") {
		errs = append(errs, errors.New("[quantize] decisions decides alone: roles, include, exclude and search would decide, too"))
	}
	if q.Windows < 0 {
		errs = append(errs, fmt.Errorf("[quantize] windows %d is negative", q.Windows))
	}
	for key, path := range map[string]string{"decisions": q.Decisions, "search": q.Search} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, fmt.Errorf("[quantize] %s: %w", key, err))
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// recipe is how a graph of that precision is made, but for what files decide.
func (j *job) recipe(p quant.Precision) quant.Recipe {
	q := j.config.Quantize
	r := quant.Recipe{Precision: p, Roles: q.Roles, Smooth: q.Smooth, KeepKV: q.KeepKV}
	if r.Roles == nil && (q.Search != "" || q.Decisions != "") {
		r.Roles = []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}
	}
	if q.Include != "" {
		r.Include = regexp.MustCompile(q.Include) // checked by Load
	}
	if q.Exclude != "" {
		r.Exclude = regexp.MustCompile(q.Exclude)
	}
	return r
}

// typed is the precision of the graph that an engine is built from. TensorRT
// gets INT8 on the FP16 graph, where INT8 beside FP32 would lose to FP16; the
// CPU, which computes FP16 in FP32, gets it on the FP32 graph.
func typed(e EngineConfig) quant.Precision {
	if e.Backend != "ortcpu" {
		switch e.Precision {
		case engine.INT8:
			return quant.INT8FP16
		case engine.W8:
			return quant.W8FP16
		}
	}
	return quant.Precision(e.Precision)
}

// model is the typed graph that an engine is built from.
func (j *job) model(e EngineConfig) *stage { return j.models[typed(e)] }

// layOutModels makes the typed graphs that the engines need.
func (j *job) layOutModels() {
	j.models[quant.FP32] = j.export
	var table, found *stage
	if j.wants(quant.Precision.Calibrated) || j.wants(inHalf) && j.config.Text.Calibrate != "" {
		table = j.layOutCalibration()
	}
	if j.wants(quant.Precision.Calibrated) {
		found = j.layOutSearch(table)
	}
	for _, p := range quant.Precisions {
		if p != quant.FP32 && j.wants(func(q quant.Precision) bool { return q == p }) {
			j.models[p] = j.layOutModel(p, table, found)
		}
	}
}

// inHalf tells of a graph that is FP16 where it is not quantized. What calibration
// saw decides what of it stays in FP32.
func inHalf(p quant.Precision) bool { return p.Float() == onnx.Float16 }

// wants tells whether an engine's graph is of such a precision.
func (j *job) wants(such func(quant.Precision) bool) bool {
	return slices.ContainsFunc(j.config.Engines, func(e EngineConfig) bool { return such(typed(e)) })
}

func (j *job) layOutCalibration() *stage {
	files := tokenizerFiles(j.config.Model.Path)
	files["calibrate"], files["evaluate"] = j.config.Text.Calibrate, j.config.Text.Evaluate
	params := map[string]string{
		"samples": fmt.Sprint(j.config.Text.Samples), "seed": fmt.Sprint(j.config.Run.Seed), "threads": fmt.Sprint(j.threads), "onnxruntime": runtimes.VersionOf("ort"),
	}
	maps.Copy(params, j.quantizeParams())
	params["int8"], params["fp16"] = fmt.Sprint(j.wants(quant.Precision.Calibrated)), fmt.Sprint(j.wants(inHalf))
	return j.add(&stage{name: "calibrate", revision: 5, runtime: "ort", needs: []*stage{j.export}, files: files, params: params,
		check: func() error { return j.apart(j.config.Text.Calibrate, j.config.Text.Evaluate) }, run: j.runCalibrate})
}

// layOutSearch adds the stage that chooses; nil where nothing is searched.
func (j *job) layOutSearch(table *stage) *stage {
	if j.config.Quantize.Search == "" {
		return nil
	}
	files := tokenizerFiles(j.config.Model.Path)
	files["search"], files["evaluate"] = j.config.Quantize.Search, j.config.Text.Evaluate
	params := j.quantizeParams()
	params["gate"], params["windows"] = encode(j.config.Quantize.gate()), fmt.Sprint(j.config.Quantize.Windows)
	params["threads"], params["onnxruntime"] = fmt.Sprint(j.threads), runtimes.VersionOf("ort")
	return j.add(&stage{name: "search", revision: 1, runtime: "ort", needs: []*stage{j.export, table}, files: files, params: params,
		check: func() error {
			s := j.config.Quantize.Search // it is held out: ranges are not fitted to it, nor the choice to the evaluation
			return errors.Join(j.apart(j.config.Text.Calibrate, s), j.apart(s, j.config.Text.Evaluate))
		},
		run: func(ctx context.Context, dir string, p progress.Counter) error {
			return j.runSearch(ctx, table, dir, p)
		}})
}

func (j *job) layOutModel(p quant.Precision, table, found *stage) *stage {
	name := string(p)
	if p == quant.INT8FP16 { // the name that it always had
		name = "int8-fp16"
	}
	s := &stage{name: "quantize/" + name, revision: 2, needs: []*stage{j.export}, files: map[string]string{}}
	if p.Quantizes() {
		s.params = j.quantizeParams()
		if path := j.config.Quantize.Decisions; path != "" {
			s.files["decisions"] = path
		}
	}
	if !p.Calibrated() {
		found = nil
		if !inHalf(p) {
			table = nil
		}
	}
	for _, need := range []*stage{table, found} {
		if need != nil {
			s.needs = append(s.needs, need)
		}
	}
	s.run = func(_ context.Context, dir string, _ progress.Counter) error {
		return j.open(j.graph(j.export), func(m *onnx.Model) error { return j.quantize(m, p, table, found, dir) })
	}
	return j.add(s)
}

// quantizeParams are what the choice of products depends on, where it is said.
func (j *job) quantizeParams() map[string]string {
	q, params := j.config.Quantize, map[string]string{}
	for key, text := range map[string]string{"include": q.Include, "exclude": q.Exclude, "smooth": string(q.Smooth)} {
		if text != "" {
			params[key] = text
		}
	}
	if roles := j.recipe(quant.INT8).Roles; roles != nil {
		params["roles"] = encode(roles)
	}
	if q.KeepKV {
		params["keep_kv"] = "true"
	}
	return params
}

// quantize makes one typed graph.
func (j *job) quantize(m *onnx.Model, p quant.Precision, table, found *stage, dir string) error {
	r := j.recipe(p)
	var ranges *calib.Table
	var err error
	if table != nil {
		if ranges, err = calib.ReadFile(table.path(tableFile)); err != nil {
			return err
		}
	}
	if path := j.config.Quantize.Decisions; path != "" && p.Quantizes() {
		if err := j.decided(m, path, &r); err != nil {
			return err
		}
	}
	var chosen *search.Result
	if found != nil {
		if chosen, err = readSearch(found.path(searchFile)); err != nil {
			return err
		}
		r.Choices, r.ChosenBy = task.Choices(chosen), "the search"
	}
	out, err := quant.Apply(m, ranges, r)
	if err != nil {
		return err
	}
	d, err := quant.NewDecisions(out, r, ranges)
	if err != nil {
		return err
	}
	task.AddEffects(d, chosen)
	return quant.Write(dir, j.options.CreatedBy, out, d, j.config.bindings...)
}

// decided puts the choice of a decision list into a recipe.
func (j *job) decided(m *onnx.Model, path string, r *quant.Recipe) error {
	list, err := quant.ReadDecisionsFile(path)
	if err != nil {
		return err
	}
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	if err := list.Fits(digest); err != nil {
		return err
	}
	r.Choices = list.Choices()
	return nil
}

// runSearch chooses what becomes INT8.
func (j *job) runSearch(ctx context.Context, table *stage, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Quantize.Search)
	if err != nil {
		return err
	}
	ranges, err := calib.ReadFile(table.path(tableFile))
	if err != nil {
		return err
	}
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return err
	}
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	return j.open(j.graph(j.export), func(m *onnx.Model) error {
		found, _, err := task.Search{
			Model: m, Contract: c, Table: ranges, Recipe: j.recipe(quant.INT8), IDs: ids, Windows: j.config.Quantize.Windows,
			Gate: j.config.Quantize.gate(), Threads: j.threads, Dir: dir,
		}.Run(ctx, client, p)
		if err := cmp.Or(err, found.Err()); err != nil {
			return err
		}
		return fsx.WriteJSON(filepath.Join(dir, searchFile), found)
	})
}

func readSearch(path string) (*search.Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fsx.Explain("reading search", path, err)
	}
	r := &search.Result{}
	return r, fault.Wrap(fault.Input, "reading search", path, json.Unmarshal(b, r), "run the pipeline again")
}
