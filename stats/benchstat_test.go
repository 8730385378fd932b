package stats

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// On 50 data sets golang's benchstat prints our medians, our intervals and our p.
func TestAgainstBenchstat(t *testing.T) {
	dir := t.TempDir()
	tool := filepath.Join(dir, "benchstat")
	if out, err := exec.Command("go", "build", "-o", tool, "golang.org/x/perf/cmd/benchstat").CombinedOutput(); err != nil {
		t.Skipf("benchstat cannot be built here: %v: %s", err, out)
	}
	const sets = 50
	r := rand.New(rand.NewPCG(50, 50))
	sides := [2][sets][]float64{}
	for side, name := range []string{"old", "new"} {
		var text strings.Builder
		for i := range sets {
			values := lognormal(r, 3+i, 0.1, 0)
			for j := range values {
				values[j] *= 1 + 0.002*float64(i*side)
				fmt.Fprintf(&text, "BenchmarkSet%d 1 %v s\n", i, values[j])
			}
			sides[side][i] = values
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(tool, "-format", "csv", "old", "new")
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	csvReader := csv.NewReader(strings.NewReader(string(out)))
	csvReader.FieldsPerRecord = -1
	records, err := csvReader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, rec := range records {
		number, is := strings.CutPrefix(rec[0], "Set")
		if !is {
			continue
		}
		i, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for side := range sides {
			s := Median(sides[side][i])
			value, err := strconv.ParseFloat(rec[1+2*side], 64)
			if err != nil || math.Abs(value/s.Value-1) > 1e-9 {
				t.Errorf("%s: median %v, benchstat %s (%v)", rec[0], s.Value, rec[1+2*side], err)
			}
			want := "∞"
			if s.HasInterval() {
				want = fmt.Sprintf("%.0f%%", 100*max(s.Hi/s.Value-1, 1-s.Lo/s.Value))
			}
			if got := rec[2+2*side]; got != want {
				t.Errorf("%s: interval ±%s, benchstat ±%s", rec[0], want, got)
			}
		}
		test := MannWhitney(sides[0][i], sides[1][i])
		if want := fmt.Sprintf("p=%.3f n=%d", test.P, test.N1); rec[6] != want && test.P > 0 {
			t.Errorf("%s: %s, benchstat %s", rec[0], want, rec[6])
		}
	}
	if seen != sets {
		t.Errorf("benchstat printed %d sets", seen)
	}
}
