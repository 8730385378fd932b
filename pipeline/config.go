package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/profiles"
)

// Config is a pipeline file. Paths are relative to the file's directory until
// [Load] makes them absolute.
type Config struct {
	Model     ModelConfig            `toml:"model"`
	Workload  profiles.Workload      `toml:"workload"`
	Text      TextConfig             `toml:"text"`
	Profiles  ProfilesConfig         `toml:"profiles"`
	Quantize  QuantizeConfig         `toml:"quantize"`
	Engines   []EngineConfig         `toml:"engine"`
	Gates     map[string]gate.Limits `toml:"gate"` // by precision
	Reference ReferenceConfig        `toml:"reference"`
	Run       RunConfig              `toml:"run"`
	Output    OutputConfig           `toml:"output"`

	// Inputs are what dimensions of the graph's inputs are, in the order of the
	// dimensions: a role, a size, "min..max" or "min..opt..max"; "" is what the graph
	// and its names say.
	Inputs map[string][]any `toml:"inputs"`

	// Name is the file's directory name, the title of the report.
	Name string `toml:"-"`

	file string // the file's own name

	bindings contract.Bindings // of Inputs, each with its line
}

// ModelConfig says what is deployed.
type ModelConfig struct {
	Path     string       `toml:"path"`     // a Hugging Face GPT-2 directory
	Cache    export.Cache `toml:"cache"`    // concat or static; empty = concat
	Capacity int64        `toml:"capacity"` // columns of a static cache; 0 = n_positions
}

// variant is the graph whose logits are those.
func (m ModelConfig) variant(l export.Logits) export.Options {
	return export.Options{Logits: l, Cache: m.Cache, Capacity: m.Capacity}
}

// TextConfig names the two texts, which must not overlap.
type TextConfig struct {
	Calibrate string `toml:"calibrate"` // UTF-8, for INT8 ranges
	Evaluate  string `toml:"evaluate"`  // UTF-8, for perplexity
	Window    int    `toml:"window"`    // tokens a window; 0 = the smaller of 512 and n_positions
	Samples   int    `toml:"samples"`   // calibration samples; 0 = 64
	// Convention is that of the perplexity, as validate.ParseConvention reads it; "" is
	// hf-nonoverlap(window).
	Convention string `toml:"convention"`
}

// ProfilesConfig says how shapes become optimization profiles.
type ProfilesConfig struct {
	Strategy    string `toml:"strategy"`     // one of profiles.Strategies
	MaxProfiles int    `toml:"max_profiles"` // 0 = no limit
	Opt         string `toml:"opt"`          // of a wide profile: decode (or ""), prefill or median
}

// EngineConfig asks for one engine.
type EngineConfig struct {
	Backend   string           `toml:"backend"`   // ortcpu, rtx, orttrt, ortcuda or trtexec
	Precision engine.Precision `toml:"precision"` // fp32, fp16, bf16 (rtx), int8 or w8
	Target    string           `toml:"target"`    // rtx: one of rtx.Targets; "" is a portable plan
}

// Name is how reports and directories call the engine.
func (e EngineConfig) Name() string {
	name := e.Backend + "-" + string(e.Precision)
	if e.Target != "" {
		name += "-" + e.Target
	}
	return name
}

// ReferenceConfig says where PyTorch's figures come from.
type ReferenceConfig struct {
	// Bundle is a recorded reference bundle; without one PyTorch runs live.
	Bundle string `toml:"bundle"`
}

// RunConfig bounds the run.
type RunConfig struct {
	Threads     int    `toml:"threads"`      // 0 = what the cgroup grants
	MemoryLimit string `toml:"memory_limit"` // "8GiB"; empty = 80 % of what there is
	Seed        uint64 `toml:"seed"`         // of sampling and of the order of measurements
	Timeout     string `toml:"timeout"`      // of one job, "10m"
	Repetitions int    `toml:"repetitions"`  // timed runs of each engine and scenario; 0 = 10
	Until       string `toml:"until"`        // further runs until each median's interval is within this share of it, "1%"; empty = none
	Warmup      *int   `toml:"warmup"`       // runs before each turn that do not count; absent = until they are steady
}

// OutputConfig says where results go.
type OutputConfig struct {
	Dir string `toml:"dir"`
}

// command makes everything again, said from beside the file's directory: the
// report shall not tell where people keep their files.
func (c *Config) command() string { return "trtforge run " + c.Name + "/" + c.file }

// maxConfig bounds a pipeline file: 1 MiB is hundreds of thousands of scenarios.
const maxConfig = 1 << 20

// Load reads and checks a pipeline file. Unknown keys, bad values and missing
// files are reported all at once, each key with its line, as class usage.
func Load(path string) (*Config, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	return parse(path, b)
}

// read is the text of a pipeline file, refused where it is too long for one.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading pipeline", path, err, "give the path of a pipeline file; `trtforge run --help` shows one")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading pipeline", path, err, "give the path of a pipeline file; `trtforge run --help` shows one")
	}
	if len(b) > maxConfig {
		return nil, fault.New(fault.Usage, "reading pipeline", path, fmt.Sprintf("more than the %d bytes that a pipeline needs", maxConfig), "check the path")
	}
	return b, nil
}

// parse reads and checks the text of the pipeline file at path.
func parse(path string, b []byte) (*Config, error) {
	c := &Config{}
	meta, err := toml.NewDecoder(bytes.NewReader(b)).Decode(c)
	if err != nil {
		var p toml.ParseError
		if errors.As(err, &p) {
			return nil, fault.New(fault.Usage, "reading pipeline", fmt.Sprintf("%s:%d", path, p.Position.Line), p.Message, "mend the line")
		}
		return nil, fault.Wrap(fault.Usage, "reading pipeline", path, err, "mend the value")
	}
	var errs []error
	errs = append(errs, unknownKeys(path, b, meta.Undecoded())...)
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading pipeline", path, err, "")
	}
	c.Name, c.file = filepath.Base(dir), filepath.Base(path)
	errs = append(errs, c.bind(path, string(b)))
	c.resolve(dir)
	for _, err := range c.check() {
		errs = append(errs, &fault.Error{Code: fault.Usage, Stage: "checking pipeline", Subject: path, Err: err, Fix: "`trtforge run --help` shows every key"})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// bind reads [inputs]. Whether the graph has inputs of these names is known once
// there is a graph, so each keeps its line.
func (c *Config) bind(path, text string) error {
	lines := keyLines(text)
	var errs []error
	for _, input := range slices.Sorted(maps.Keys(c.Inputs)) {
		at := path
		if line, found := lines["inputs."+input]; found {
			at = fmt.Sprintf("%s:%d", path, line)
		}
		all, err := contract.BindShape(input, c.Inputs[input], at)
		c.bindings = append(c.bindings, all...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// resolve makes paths absolute and fills in what the file left to us.
func (c *Config) resolve(dir string) {
	for _, p := range []*string{&c.Model.Path, &c.Text.Calibrate, &c.Text.Evaluate, &c.Reference.Bundle, &c.Output.Dir, &c.Workload.Trace, &c.Quantize.Search, &c.Quantize.Decisions} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.Output.Dir == "" {
		c.Output.Dir = filepath.Join(dir, "build")
	}
	if c.Profiles.Strategy == "" {
		c.Profiles.Strategy = "auto"
	}
	if c.Model.Cache == "" {
		c.Model.Cache = export.Concat
	}
	if c.Workload.Mode == "" {
		c.Workload.Mode = "cached"
	}
	if c.Text.Samples == 0 {
		c.Text.Samples = 64
	}
	if c.Run.Repetitions == 0 {
		c.Run.Repetitions = 10
	}
	c.Gates = gate.Study(c.Gates)
	for i := range c.Workload.Scenarios {
		if c.Workload.Scenarios[i].Weight == 0 {
			c.Workload.Scenarios[i].Weight = 1
		}
	}
}

// timeout is the limit of one job; 0 where the file gives none.
func (r RunConfig) timeout() (time.Duration, error) {
	if r.Timeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(r.Timeout)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%s is not a limit", r.Timeout)
	}
	return d, err
}

// Precision is the share within which medians are to come, 0 for none, of a file that
// was checked.
func (r RunConfig) Precision() float64 {
	share, _ := trial.ParseUntil(r.Until)
	return share
}

var memorySize = regexp.MustCompile(`^([0-9]{1,9})(MiB|GiB|TiB)$`)

// memory is the limit in bytes; 0 where the file gives none.
func (r RunConfig) memory() (int64, error) {
	if r.MemoryLimit == "" {
		return 0, nil
	}
	m := memorySize.FindStringSubmatch(r.MemoryLimit)
	if m == nil {
		return 0, fmt.Errorf("%q: want a whole number and MiB, GiB or TiB", r.MemoryLimit)
	}
	var n int64
	if _, err := fmt.Sscan(m[1], &n); err != nil {
		return 0, err
	}
	shift := map[string]uint{"MiB": 20, "GiB": 30, "TiB": 40}[m[2]]
	if n == 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a limit", r.MemoryLimit)
	}
	return n << shift, nil
}
