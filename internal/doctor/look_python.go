package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// startTime is how long an interpreter that only says its version may take.
const startTime = 800 * time.Millisecond

func lookPython(ctx context.Context, m Machine) finding {
	var f finding
	for _, name := range []string{"python3", "python3.13", "python3.12", "python3.11"} {
		path, err := m.LookPath(name)
		if err != nil {
			continue
		}
		version, err := pythonVersion(ctx, path)
		if err != nil {
			continue // a version manager's shim for a Python that is not active
		}
		suits := strings.HasPrefix(version, "3.11.") || strings.HasPrefix(version, "3.12.") || strings.HasPrefix(version, "3.13.")
		if suits {
			return finding{found: true, version: version, detail: []string{path}}
		}
		f.detail = append(f.detail, path+" is "+version)
	}
	return f
}

// lookWorkers starts each Python environment that is installed: one whose base
// interpreter was upgraded away is there and dead.
func lookWorkers(ctx context.Context, m Machine) finding {
	f := finding{found: true}
	n := 0
	for _, name := range []string{"rtx", "reference"} {
		r, ok := m.Find(name)
		if !ok {
			f.detail = append(f.detail, name+": not installed")
			continue
		}
		version, err := pythonVersion(ctx, r.Python)
		if err != nil {
			f.warn = "remove " + r.Dir + " and run `trtforge setup " + name + "`"
			f.detail = append(f.detail, fmt.Sprintf("%s: %s does not start: %v", name, r.Python, err))
			continue
		}
		n++
		f.detail = append(f.detail, name+": Python "+version+" starts")
	}
	f.found = n > 0 || f.warn != ""
	return f
}

func pythonVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	// -I and -S: none of the user's variables and no site packages, which take time.
	cmd := exec.CommandContext(ctx, path, "-I", "-S", "-c", "import platform; print(platform.python_version())")
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("starting %s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}
