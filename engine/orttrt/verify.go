package orttrt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/explain"
	"github.com/trtforge/trtforge/profiles/sidecar"
)

// listed is how many nodes an error names.
const listed = 8

// partition refuses a session whose nodes are not all TensorRT's in one subgraph,
// and says which are whose.
func partition(all []ort.Subgraph, p ort.Provider) error {
	mine := 0
	var others []string
	nodes := 0
	for _, g := range all {
		if g.Provider == named(p) {
			mine++
			continue
		}
		for _, n := range g.Nodes {
			if nodes++; nodes <= listed {
				others = append(others, fmt.Sprintf("%s %s (%s)", n.Op, n.Name, g.Provider))
			}
		}
	}
	if mine == 1 && nodes == 0 {
		return nil
	}
	cause := fmt.Sprintf("%d subgraphs are TensorRT's, wanted is one of the whole graph", mine)
	if nodes > 0 {
		cause += fmt.Sprintf("; %d nodes are not: %s", nodes, strings.Join(others, ", "))
		if nodes > listed {
			cause += " ..."
		}
	}
	return fault.New(fault.Runtime, "giving the graph to", "TensorRT", cause, "see what it does not take: `trtforge inspect MODEL`; a graph that ONNX Runtime has fused must be exported again")
}

// left is what a session left behind.
type left struct {
	context string   // base names
	beside  []string // the engine, where it is not inside, and its .profile
}

// inspect finds what a session left and holds its .profile against the request.
func (j *job) inspect(s session) (left, error) {
	bad := func(cause string) (left, error) {
		return left{}, fault.New(fault.Runtime, "checking what was built", s.Prefix, cause, "read "+logFile+"; report it if it stays")
	}
	if info, err := os.Stat(s.Context()); err != nil || info.Size() == 0 {
		return bad("the provider wrote no context model")
	}
	l := left{context: s.context()}
	engines, _ := filepath.Glob(filepath.Join(s.Dir, s.Prefix+"_*.engine"))
	sidecars, _ := filepath.Glob(filepath.Join(s.Dir, s.Prefix+"_*.profile"))
	if len(engines) != 1 || len(sidecars) != 1 {
		return bad(fmt.Sprintf("it left %d engines and %d profiles, wanted is one of each", len(engines), len(sidecars)))
	}
	if err := j.sameProfile(sidecars[0], s.profile); err != nil {
		return left{}, err
	}
	l.beside = []string{filepath.Base(sidecars[0])}
	if j.c.Embed {
		return l, fsx.Explain("removing", engines[0], os.Remove(engines[0])) // it is inside, too
	}
	l.beside = append(l.beside, filepath.Base(engines[0]))
	slices.Sort(l.beside)
	return l, nil
}

// sameProfile holds a .profile against the profile that was asked for.
func (j *job) sameProfile(path string, want profiles.Profile) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fsx.Explain("reading", path, err)
	}
	f, err := sidecar.ReadVersion(b, filepath.Base(path), 2)
	if err != nil {
		return fault.Wrap(fault.Runtime, "checking", "the profile of the engine", err, "report this")
	}
	d := profiles.Compare([]profiles.Profile{want}, f.Profiles, profiles.Partial{B: true})
	if d.Same() {
		return nil
	}
	var errs []error
	for _, p := range d.Pairs {
		for _, c := range p.Changes {
			errs = append(errs, errors.New(c.String()))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("it has %d profiles, none like %s", len(f.Profiles), want.Name))
	}
	return fault.Wrap(fault.Runtime, "checking", "the profile of the engine", errors.Join(errs...), "build again; report it if it stays")
}

// betrayals are what the provider says, as a warning, where it goes on with
// something else than was asked for.
var betrayals = []struct{ says, means string }{
	{"precision flags (BF16 / FP16 / INT8) have been removed", "this TensorRT ignores precision flags: the engine is FP32"},
	{"precision flags have been removed", "this TensorRT ignores precision flags: the engine is FP32"},
	{"platform doesn't support fast native", "this GPU has no such precision: the engine is FP32"},
	{"Profile shapes validation failed", "the profiles were not taken: the engine would be built again at every new shape"},
	{"will implicitly create optimization profiles", "the profiles were not taken: the engine would be built again at every new shape"},
	{"The format of provider option 'trt_profile_", "the profiles were not taken: the engine would be built again at every new shape"},
	{"Engine hardware compatibility cannot be enabled", "the engine is of this GPU only"},
	{"No graph will run on TensorRT execution provider", "nothing runs on TensorRT"},
}

// account is what the log says: where the provider did something else, and the
// layers, where the builder lists them.
func account(log io.Reader) (layers map[string]int, errs error) {
	pipe, lines := io.Pipe()
	done := make(chan error, 1)
	go func() {
		var err error
		layers, err = rtx.Layers(pipe)
		_, _ = io.Copy(io.Discard, pipe) // a line that is too long must not stop the other end
		done <- err
	}()
	seen := map[string]bool{}
	r := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := r.ReadString('\n')
		for _, b := range betrayals {
			if !seen[b.means] && strings.Contains(line, b.says) {
				seen[b.means] = true
				errs = errors.Join(errs, fault.New(fault.Runtime, "building", "with TensorRT", b.means, "see "+logFile+": "+b.says))
			}
		}
		// Before a layer stand the times and levels of two loggers.
		if at := strings.Index(line, "Name: "); at >= 0 {
			_, _ = io.WriteString(lines, line[at:])
		}
		if err != nil {
			break
		}
	}
	_ = lines.Close()
	return layers, errors.Join(errs, <-done)
}

// explain gives the error of a session the cause that its log tells.
func (j *job) explain(err error, s session) error {
	if fault.Classify(err) != fault.Runtime {
		return err
	}
	f, opened := os.Open(filepath.Join(j.dir, logFile))
	if opened != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	report, read := explain.Read(f, explain.Context{Contract: j.r.Contract, Profiles: []profiles.Profile{s.profile}, Log: logFile})
	if read != nil || report.Root() == nil {
		return err
	}
	root := report.Root()
	return fault.Wrap(fault.Runtime, "building", s.Prefix, fmt.Errorf("%w: %s (line %d of its log: %s)", err, root.Cause, root.Evidence.Line, root.Evidence.Text), root.Fix)
}

// manifest records the build, once what lies there is what was asked for.
func (j *job) manifest(results []buildResult) (*engine.Manifest, error) {
	m := engine.NewManifest(j.r, j.Revision(), j.CreatedBy)
	m.Log, m.Licence = logFile, "built by TensorRT under NVIDIA's licence, which says how engines may be distributed"
	for i, s := range j.sessions {
		l, err := j.inspect(s)
		if err != nil {
			return nil, err
		}
		if m.File == "" {
			m.File = l.context
		} else {
			m.Steps = l.context
			m.Files = append(m.Files, l.context)
		}
		m.Files = append(m.Files, l.beside...)
		m.Measured.Phases = append(m.Measured.Phases, engine.Phase{Name: s.Prefix, MS: results[i].BuildMS}, engine.Phase{Name: "verify " + s.Prefix, MS: results[i].VerifyMS})
		m.Measured.BuildMS += results[i].BuildMS + results[i].VerifyMS
		m.Measured.PeakBytes = max(m.Measured.PeakBytes, results[i].PeakBytes)
	}
	if j.c.Implicit != nil && j.c.Implicit.Table != "" {
		m.Files = append(m.Files, tableFile)
	}
	if err := j.judge(m, results); err != nil {
		return nil, err
	}
	return m, m.Weigh(j.dir)
}

// judge compares what the builder says of its layers with what was asked for. Where
// it lists no matrix products, the nodes that it took are the account, and the types
// of the graph, which a strongly typed network keeps.
func (j *job) judge(m *engine.Manifest, results []buildResult) error {
	log, err := os.Open(filepath.Join(j.dir, logFile))
	if err != nil {
		return fsx.Explain("reading log", logFile, err)
	}
	defer func() { _ = log.Close() }()
	layers, err := account(log)
	if err != nil {
		return err
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return fsx.Explain("reading log", logFile, err)
	}
	if m.Memory, err = engine.ReadMemory(log, j.r.Plan.Profiles); err != nil {
		return err
	}
	if engine.Accounts(layers) {
		m.Layers = layers
		m.Achieved, err = engine.Achieved(j.r.Precision, layers)
		return err
	}
	m.Layers = map[string]int{}
	for _, r := range results {
		for _, g := range r.Subgraphs {
			for _, n := range g.Nodes {
				m.Layers["node "+strings.ToLower(n.Op)]++
			}
		}
	}
	how := "the graph's types, which TensorRT keeps"
	if j.c.Implicit != nil {
		how = "the flags, which allow it and do not force it"
	}
	m.Warnings = append(m.Warnings, "the builder lists no matrix products: the precision is that of "+how)
	return nil
}
