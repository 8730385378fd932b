package lint_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/lint"
)

// oracle is NVIDIA's builder in one Python process.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func nvidia(t *testing.T) *oracle {
	t.Helper()
	c := exec.Command(testenv.Python(t, "rtx"), "-u", filepath.Join("testdata", "builder.py"))
	var said strings.Builder
	c.Stderr = &said
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("the builder's process: %v\n%s", err, said.String())
		}
	})
	return &oracle{in, bufio.NewReader(out)}
}

func (o *oracle) ask(t *testing.T, request, answer any) {
	t.Helper()
	b, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.in.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the builder does not answer: %v", err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		t.Fatal(err)
	}
}

type verdict struct {
	Built  bool
	Errors []string
}

// named are the inputs that a refusal names.
func (v verdict) named(m model) (names []string) {
	text := strings.Join(v.Errors, "\n")
	for _, t := range m.graph.Inputs {
		if word(text, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

// word tells whether text has name with nothing of a name around it.
func word(text, name string) bool {
	part := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] == '_' || text[i] == '.' && i+1 < len(text) && text[i+1] != ' ' || text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'z')
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		i += from
		if !part(i-1) && !part(i+len(name)) {
			return true
		}
		from = i + 1
	}
}

// TestAgainstNVIDIA holds the rules against the real builder on random plans,
// sound and broken: what we call valid it builds; where its refusal names an
// input, ours names it too; what we refuse and it accepts breaks rules that are
// marked stricter. TRTFORGE_FULL=1 asks for 600 plans.
func TestAgainstNVIDIA(t *testing.T) {
	count := 60
	if os.Getenv("TRTFORGE_FULL") != "" {
		count = 600
	}
	o := nvidia(t)
	models := []model{gpt2(t), encoder(t), resizer(t)}
	r := rand.New(rand.NewPCG(4, 2026))
	started := time.Now()
	var valid, refused, sameName, naming int
	stricter, broken := map[string]int{}, map[string]int{}
	for i := range count {
		m := models[i%len(models)]
		p, how := m.maybeBroken(r)
		broken[how]++
		ours := serious(lint.Check(lint.Subject{Contract: m.contract, Graph: m.graph, Profiles: p, Backend: lint.RTX}))
		var theirs verdict
		o.ask(t, map[string]any{"model": m.path, "profiles": p}, &theirs)
		say := func() string {
			b, _ := json.Marshal(p)
			return fmt.Sprintf("plan %d, %s, %s:\n%s\nours: %v\ntheirs: %s", i, m.name, how, b, messages(ours), strings.Join(theirs.Errors, "\n"))
		}
		switch {
		case len(ours) == 0 && !theirs.Built:
			t.Errorf("called valid, and not built: %s", say())
		case len(ours) == 0:
			valid++
		case theirs.Built:
			for _, f := range ours {
				stricter[f.ID]++
				if !f.Stricter {
					t.Errorf("%s is not marked stricter, and the builder accepts: %s", f.ID, say())
				}
			}
		default:
			refused++
			names := theirs.named(m)
			if len(names) == 0 {
				continue
			}
			naming++
			if lacks := missing(names, ours); len(lacks) > 0 {
				t.Errorf("the builder names %v, we do not: %s", lacks, say())
			} else {
				sameName++
			}
		}
	}
	took := time.Since(started)
	t.Logf("%d plans in %.1f s (%.0f ms each): %d valid and built, %d refused by both, %d of %d refusals that name an input name ours too, %d built and refused by us",
		count, took.Seconds(), 1e3*took.Seconds()/float64(count), valid, refused, sameName, naming, count-valid-refused)
	t.Logf("accepted by the builder, refused by a stricter rule: %s", counts(stricter))
	t.Logf("plans by how they were broken: %s", counts(broken))
}

// maybeBroken is a plan that keeps every rule, one time in three, or that is
// broken in one way that the model has.
func (m model) maybeBroken(r *rand.Rand) ([]profiles.Profile, string) {
	if r.IntN(3) == 0 {
		return m.plan(r), "sound"
	}
	for {
		p, b := m.plan(r), breakages[r.IntN(len(breakages))]
		if b.spoil(r, m, &p[r.IntN(len(p))]) {
			return p, b.name
		}
	}
}

func serious(all []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(all, func(f lint.Finding) bool { return f.Severity != lint.Error })
}

func messages(all []lint.Finding) (text []string) {
	for _, f := range all {
		text = append(text, f.ID+" "+f.Message)
	}
	return text
}

// missing are the names that no finding has among its inputs.
func missing(names []string, all []lint.Finding) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(all, func(f lint.Finding) bool { return slices.Contains(f.Inputs, name) })
	})
}

func counts(of map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, of[k]))
	}
	return strings.Join(parts, ", ")
}

// The operators that the parser lacks are those of the list, as the parser itself
// says.
func TestOperators(t *testing.T) {
	var answer struct{ Lacks []string }
	nvidia(t).ask(t, map[string]any{"operators": lint.Operators()}, &answer)
	for _, op := range lint.Operators() {
		if got, want := !slices.Contains(answer.Lacks, op), lint.Takes(op); got != want {
			t.Errorf("%s: the parser says %t, we say %t", op, got, want)
		}
	}
	t.Logf("%d operators, of which the parser lacks %d", len(lint.Operators()), len(answer.Lacks))
}
