package trtexec

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// GPUFile is what a bundle's script notes of the machine: one line of
// nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader.
const GPUFile = "gpu.csv"

// Files are what a build leaves: the plan, the account of its layers, the log.
var Files = []string{planFile, layerFile, logFile}

// BundleArguments are those of a build by a script, from the directory that holds
// the graph, into dir below. What the version decides (--stronglyTyped) is left to
// the script.
func BundleArguments(r engine.Request, model, dir string) ([]string, error) {
	shapes, err := syntax.TrtexecArguments(r.Plan.Profiles)
	return append(common(model, dir), shapes...), err
}

// Result takes the builder from what a build elsewhere left in dir: the version from
// the log's first lines, the GPU from [GPUFile]. Both are errors of class input where
// they cannot be read.
func Result(dir string) (*Builder, error) {
	tool, err := loggedBy(filepath.Join(dir, logFile))
	if err != nil {
		return nil, err
	}
	gpu, err := notedGPU(filepath.Join(dir, GPUFile))
	if err != nil {
		return nil, err
	}
	return &Builder{Tool: tool, GPU: gpu}, nil
}

// Account holds what a build left in dir against the request, as Build does.
func (b *Builder) Account(r engine.Request, dir string) (*engine.Manifest, error) {
	if err := b.Check(r); err != nil {
		return nil, err
	}
	return b.manifest(r, dir, engine.Measured{BuildMS: loggedTime(filepath.Join(dir, logFile))})
}

// firstLines bounds where a log says its version.
const firstLines = 64 << 10

// loggedBy is the tool that wrote a log.
func loggedBy(path string) (Tool, error) {
	b, err := beginning(path, firstLines)
	if err != nil {
		return Tool{}, err
	}
	t, ok := versionIn(b)
	if !ok {
		return Tool{}, fault.New(fault.Input, "reading log", path, "it does not begin as a log of trtexec does", "run the bundle's build.sh again")
	}
	if t.Major < oldest || t.Major > newest {
		return Tool{}, fault.New(fault.Input, "reading log", path, fmt.Sprintf("it is of TensorRT %s; %d to %d are known", t.Version(), oldest, newest), "build with one of those")
	}
	return t, nil
}

func notedGPU(path string) (string, error) {
	b, err := beginning(path, 4<<10)
	if err != nil {
		return "", err
	}
	r := csv.NewReader(strings.NewReader(string(b)))
	r.TrimLeadingSpace, r.FieldsPerRecord = true, 3
	fields, err := r.Read()
	if err != nil || slices.Contains(fields, "") {
		return "", fault.New(fault.Input, "reading", path, "it names no GPU, compute capability and driver", "run the bundle's build.sh on a machine with a GPU")
	}
	g := doctor.GPU{Name: strings.TrimSpace(fields[0]), Compute: strings.TrimSpace(fields[1]), Driver: strings.TrimSpace(fields[2])}
	return g.String(), nil
}

func beginning(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most))
	return b, fsx.Explain("reading", path, err)
}

// told is what a log says of the engine: its memory a profile, where it speaks of all,
// and the time of the build proper, without what trtexec does around it. A log that was
// cut says nothing.
func told(path string, all []profiles.Profile) (*engine.Memory, []engine.Phase, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	needs, err := engine.ReadMemory(io.LimitReader(f, maxLog), all)
	if err != nil {
		needs = nil
	}
	if ms := loggedTime(path); ms > 0 {
		return needs, []engine.Phase{{Name: "engine", MS: ms}}, nil
	}
	return needs, nil, nil
}

// took is how trtexec says what the build took.
var took = regexp.MustCompile(`Engine built in ([0-9.]+) sec`)

// loggedTime is the time of a build in ms by its log, 0 where that does not say.
func loggedTime(path string) float64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	s := bufio.NewScanner(io.LimitReader(f, maxLog))
	s.Buffer(make([]byte, 64<<10), 16<<20)
	for s.Scan() {
		if m := took.FindStringSubmatch(s.Text()); m != nil {
			seconds, _ := strconv.ParseFloat(m[1], 64)
			return 1000 * seconds
		}
	}
	return 0
}
