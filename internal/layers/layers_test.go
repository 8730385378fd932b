// Package layers holds the house to its plan: imports point down only.
package layers

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/trtforge/trtforge/"

// floors are the rooms from the ground up. A package may import packages of
// lower floors, and of its own room; nothing else.
var floors = [][]string{
	{"internal/annotation", "internal/beside", "internal/fault", "internal/golden", "internal/junit", "internal/progress", "internal/svg", "onnx/onnxpb", "stats"},
	{"internal/keep", "internal/filelock"},
	{"internal/fsx"},
	{"internal/bpe", "internal/text", "safetensors", "internal/runtimes", "rows"},
	{"onnx", "internal/testenv"},
	{"onnx/shape", "onnx/graph", "internal/broken"},
	{"internal/epoptions"},
	{"contract", "export", "internal/child"},
	{"profiles", "internal/doctor", "internal/ort", "internal/worker"},
	{"profiles/syntax", "profiles/sidecar"},
	{"profiles/explain", "profiles/lint"},
	{"calib"},
	{"quant/half", "quant/quanttest"},
	{"quant", "calib/tableio"},
	{"engine", "engine/planfile"},
	{"engine/enginetest", "engine/decorate"},
	{"engine/ortcpu", "engine/rtx", "engine/store", "engine/trtexec", "pack"},
	{"engine/orttrt", "engine/ortcuda"},
	{"engine/local"},
	{"lm", "pack/bundle"},
	{"validate"},
	{"bench", "internal/native", "quant/search"},
	{"bench/format"},
	{"internal/jobs", "compare"},
	{"internal/trial"},
	{"gate"},
	{"report"},
	{"task"},
	{"pipeline"},
	{"cmd/trtforge"},
}

// pure rooms hold the knowledge: no cgo, no processes, no network.
var pure = []string{"onnx", "onnx/shape", "onnx/graph", "contract", "profiles", "profiles/syntax", "profiles/sidecar", "profiles/explain", "profiles/lint", "calib", "calib/tableio", "quant", "quant/half", "quant/search", "validate", "bench", "bench/format", "gate", "report", "rows", "stats", "safetensors", "export", "lm", "compare", "engine/planfile"}

// only says who may import a library that must not spread.
var only = map[string][]string{
	"github.com/yalue/onnxruntime_go":    {"internal/ort"},
	"github.com/vbauerster/mpb/v8":       {"cmd/trtforge"},
	"github.com/spf13/cobra":             {"cmd/trtforge"},
	"github.com/BurntSushi/toml":         {"pipeline", "profiles/explain", "gate", "examples/tr118"},
	"github.com/NVIDIA/go-nvml/pkg/nvml": {"internal/doctor"},
	"github.com/google/flatbuffers/go":   {"calib/tableio"},
	"github.com/gofrs/flock":             {"internal/filelock"},
}

type pkg struct {
	path    string
	imports []string
	deps    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}|{{join .Imports " "}}|{{join .Deps " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []pkg
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Split(line, "|")
		all = append(all, pkg{strings.TrimPrefix(f[0], module), strings.Fields(f[1]), strings.Fields(f[2])})
	}
	return all
}

func floor(path string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, path) })
}

// aside are packages that stand outside the house and may import any of it.
func aside(path string) bool {
	return strings.HasPrefix(path, "examples/") || strings.HasPrefix(path, "internal/bench") || path == "internal/layers" || path == "internal/testreport"
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t) {
		if aside(p.path) {
			continue
		}
		mine := floor(p.path)
		if mine < 0 {
			t.Errorf("%s stands on no floor: add it to the plan", p.path)
			continue
		}
		for _, imp := range p.imports {
			theirs, ours := strings.CutPrefix(imp, module)
			if ours && floor(theirs) >= mine {
				t.Errorf("%s imports %s, which is not below it", p.path, theirs)
			}
		}
	}
}

func TestPureRooms(t *testing.T) {
	banned := []string{"os/exec", "net", "net/http", "runtime/cgo"}
	for _, p := range list(t) {
		if !slices.Contains(pure, p.path) {
			continue
		}
		for _, b := range banned {
			if slices.Contains(p.deps, b) {
				t.Errorf("%s is a pure room and depends on %s", p.path, b)
			}
		}
	}
}

func TestLibrariesStayHome(t *testing.T) {
	for _, p := range list(t) {
		for _, imp := range p.imports {
			if homes, ruled := only[imp]; ruled && !slices.Contains(homes, p.path) {
				t.Errorf("%s imports %s, which belongs to %v alone", p.path, imp, homes)
			}
		}
	}
}

// TestEveryRoomIsInTheGuide holds the table of docs/architecture.md to the plan. A room
// may stand there in the row of the one above it, by its own name alone.
func TestEveryRoomIsInTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, floor := range floors {
		for _, room := range floor {
			if !strings.Contains(string(guide), "`"+room+"`") && !strings.Contains(string(guide), "`"+path.Base(room)+"`") {
				t.Errorf("docs/architecture.md does not name %s", room)
			}
		}
	}
}
