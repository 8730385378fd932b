package runtimes

import (
	"strings"
	"testing"
)

func TestLocksAreWhole(t *testing.T) {
	for _, spec := range Specs() {
		lock, err := LockOf(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		if lock.Download <= 0 || lock.Installed <= 0 {
			t.Errorf("%s says no sizes: %d to download, %d installed", spec.Name, lock.Download, lock.Installed)
		}
		for _, name := range spec.asked {
			if lock.Versions[name] == "" {
				t.Errorf("%s does not pin %s", spec.Name, name)
			}
		}
		if strings.Contains(lock.Text, "://") {
			t.Errorf("%s names an address; a lock must work with any index", spec.Name)
		}
		for entry := range strings.SplitSeq(lock.Text, "\n# ") {
			if requirement.MatchString(lastPart(entry)) && !strings.Contains(entry, "--hash=sha256:") {
				t.Errorf("%s pins without a hash: %s", spec.Name, entry)
			}
		}
	}
}

// lastPart is an entry without its licence comment.
func lastPart(entry string) string {
	_, rest, _ := strings.Cut(entry, "\n")
	return rest
}

func TestOracleRepeatsNothingOfTheReference(t *testing.T) {
	over, err := LockOf("oracle")
	if err != nil {
		t.Fatal(err)
	}
	below, err := LockOf("reference")
	if err != nil {
		t.Fatal(err)
	}
	for name := range over.Versions {
		if v := below.Versions[name]; v != "" {
			t.Errorf("%s is in both; the reference has %s", name, v)
		}
	}
}

func TestLooseKeepsVersionsAndDropsHashesAndAccelerators(t *testing.T) {
	lock, err := parseLock("# download_bytes: 5\n# MIT\nnumpy==2.0 ; python_version == \"3.11\" \\\n    --hash=sha256:aa\n" +
		"# x\nnvidia-cublas==13 \\\n    --hash=sha256:bb\n# x\ntriton==3 \\\n    --hash=sha256:cc\n# x\ncuda-bindings==1 \\\n    --hash=sha256:dd\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lock.loose(), "numpy==2.0 ; python_version == \"3.11\"\n"; got != want {
		t.Errorf("loose = %q, want %q", got, want)
	}
	if lock.Download != 5 || lock.Versions["nvidia-cublas"] != "13" {
		t.Errorf("parsed %d bytes and %v", lock.Download, lock.Versions)
	}
}

func TestBadHeaderIsAnError(t *testing.T) {
	if _, err := parseLock("# download_bytes: many\n"); err == nil {
		t.Error("no error")
	}
}
