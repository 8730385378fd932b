package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/keep"
)

// MachineVersion is the version of machine.json that this program writes and the
// newest that it reads.
const MachineVersion = 1

// maxMachine bounds an untrusted machine.json.
const maxMachine = 1 << 20

// Machine is what figures were measured on. Fields that a machine does not tell
// are empty.
type Machine struct {
	Kind          string   `json:"kind"` // "machine"
	SchemaVersion int      `json:"schema_version"`
	CreatedBy     string   `json:"created_by"`
	Host          string   `json:"host,omitempty"`
	CPU           string   `json:"cpu"`                // the model's name
	Features      []string `json:"features,omitempty"` // of the CPU, those that decide which kernels run, by Linux's names
	Cores         int      `json:"cores"`              // logical CPUs of the machine
	Threads       int      `json:"threads"`            // that sessions used
	Memory        int64    `json:"memory_bytes"`       // that a process may take
	OS            string   `json:"os"`                 // GOOS/GOARCH
	Kernel        string   `json:"kernel,omitempty"`
	Governor      string   `json:"governor,omitempty"` // of the CPU's frequency
	Turbo         string   `json:"turbo,omitempty"`    // on or off
	Virtual       string   `json:"virtual,omitempty"`  // the hypervisor's or container's sign
	Load          float64  `json:"load_1m"`            // processes that wanted to run before the first turn, mean of a minute
	GPU           string   `json:"gpu,omitempty"`
	GPUMemory     int64    `json:"gpu_memory_bytes,omitempty"`
	Compute       string   `json:"compute,omitempty"` // compute capability
	Driver        string   `json:"driver,omitempty"`
	CUDA          string   `json:"cuda,omitempty"`   // the newest that the driver runs
	NoGPU         string   `json:"no_gpu,omitempty"` // why nothing is known of a GPU

	Versions map[string]string `json:"versions,omitempty"` // of runtimes
	Warnings []string          `json:"warnings,omitempty"` // what makes figures of it doubtful

	extra keep.Fields
}

type plainMachine Machine

// UnmarshalJSON keeps the fields that this program does not know.
func (m *Machine) UnmarshalJSON(b []byte) (err error) {
	m.extra, err = keep.Unmarshal(b, (*plainMachine)(m))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (m Machine) MarshalJSON() ([]byte, error) { return keep.Marshal(plainMachine(m), m.extra) }

// ReadMachine reads machine.json; path names it in errors, which are of class
// input.
func ReadMachine(r io.Reader, path string) (*Machine, error) {
	f := keep.File{Doing: "reading the machine", Path: path, Kind: "machine", Version: MachineVersion, Max: maxMachine, Fix: "measure again"}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	m := &Machine{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	return m, nil
}

// Differs is what makes figures of two machines incomparable, in words; empty
// where nothing does. Load and the host's name do not count.
func (m *Machine) Differs(o *Machine) []string {
	var all []string
	for _, f := range []struct{ what, a, b string }{
		{"CPU", m.CPU, o.CPU},
		{"CPU features", strings.Join(m.Features, " "), strings.Join(o.Features, " ")},
		{"cores", fmt.Sprint(m.Cores), fmt.Sprint(o.Cores)},
		{"threads", fmt.Sprint(m.Threads), fmt.Sprint(o.Threads)},
		{"system", m.OS, o.OS},
		{"governor", m.Governor, o.Governor},
		{"turbo", m.Turbo, o.Turbo},
		{"GPU", m.GPU, o.GPU},
		{"driver", m.Driver, o.Driver},
	} {
		if f.a != f.b {
			all = append(all, fmt.Sprintf("%s: %s and %s", f.what, known(f.a), known(f.b)))
		}
	}
	for name, v := range m.Versions {
		if w, both := o.Versions[name]; both && v != w {
			all = append(all, fmt.Sprintf("%s: %s and %s", name, v, w))
		}
	}
	slices.Sort(all)
	return all
}

func known(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}
