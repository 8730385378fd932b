package calib

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

// shards are the observations of all parts of a job.
func shards(t *testing.T, n int) (whole *Observations, parts []*Observations) {
	t.Helper()
	c, job := fakeJob(t, 26, PlanOptions{Batch: 3})
	whole = collect(t, c, job)
	for i := range n {
		part := job
		var err error
		if part.Plan, err = job.Plan.Shard(i, n); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, collect(t, c, part))
	}
	return whole, parts
}

// TestMergedShardsAreOneJob: in any order, with every method, the table of the
// shards is that of one job; only mean squares may differ in their last digit.
func TestMergedShardsAreOneJob(t *testing.T) {
	for _, n := range []int{1, 2, 4, 10} {
		whole, parts := shards(t, n)
		bytes := ""
		for seed := range uint64(3) {
			rand.New(rand.NewPCG(seed, 0)).Shuffle(n, func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			merged, err := Merge(parts)
			if err != nil {
				t.Fatal(err)
			}
			if b := marshal(t, merged); bytes == "" {
				bytes = b
			} else if b != bytes {
				t.Fatalf("%d shards in another order merge to something else", n)
			}
			for _, m := range []Method{Absmax(), Percentile(99), MSE(), Entropy()} {
				sameTable(t, whole, merged, m)
			}
			for name, o := range merged.Tensors {
				if math.Abs(o.Kurtosis()/whole.Tensors[name].Kurtosis()-1) > 1e-12 {
					t.Errorf("kurtosis of %s is %v, of one job %v", name, o.Kurtosis(), whole.Tensors[name].Kurtosis())
				}
			}
		}
	}
}

func sameTable(t *testing.T, a, b *Observations, m Method) {
	t.Helper()
	want, err := a.Table(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Table(m)
	if err != nil {
		t.Fatal(err)
	}
	last := cmp.Comparer(func(a, b float32) bool { return a == b || math.Abs(float64(a/b)-1) < 1e-6 })
	rms := cmp.FilterPath(func(p cmp.Path) bool { return strings.Contains(p.String(), "RMS") }, last)
	if d := cmp.Diff(want, got, rms, cmp.AllowUnexported(Table{})); d != "" {
		t.Errorf("%s:\n%s", m, d)
	}
}

func TestMergeRefusals(t *testing.T) {
	_, parts := shards(t, 4)
	changed := func(change func(o *Observations)) *Observations {
		o := &Observations{}
		if err := json.Unmarshal([]byte(marshal(t, parts[2])), o); err != nil {
			t.Fatal(err)
		}
		change(o)
		return o
	}
	for name, c := range map[string]struct {
		parts []*Observations
		want  []string
	}{
		"nothing":        {nil, []string{"there are none"}},
		"missing":        {[]*Observations{parts[1], parts[3]}, []string{"part 1 of 4 is missing", "part 3 of 4 is missing"}},
		"twice":          {[]*Observations{parts[0], parts[1], parts[2], parts[3], parts[1]}, []string{"part 2 of 4 is there twice"}},
		"other model":    {append(parts[:2:2], changed(func(o *Observations) { o.Model = "ef" }), parts[3]), []string{"model", "ef", "ab", "parts [3]"}},
		"other text":     {append(parts[:2:2], changed(func(o *Observations) { o.Text = "random" }), parts[3]), []string{"text is random"}},
		"other plan":     {append(parts[:2:2], changed(func(o *Observations) { o.Plan = "99" }), parts[3]), []string{"plan is 99"}},
		"other division": {append(parts[:2:2], changed(func(o *Observations) { o.Of = 5 }), parts[3]), []string{"number of parts is 5"}},
		"other tensors":  {append(parts[:2:2], changed(func(o *Observations) { delete(o.Tensors, observed[1]) }), parts[3]), []string{"lack tensor " + observed[1]}},
		"unfinished":     {append(parts[:2:2], changed(func(o *Observations) { o.Done--; o.Model = "ef" }), parts[3]), []string{"of 2 batches were run", "ef"}},
	} {
		_, err := Merge(c.parts)
		if fault.Classify(err) != fault.Usage {
			t.Errorf("%s: %v, want a usage error", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

func TestShardRefusals(t *testing.T) {
	c, job := fakeJob(t, 9, PlanOptions{Batch: 3})
	for _, s := range [][2]int{{-1, 2}, {2, 2}, {0, 0}, {0, 99}} {
		if _, err := job.Plan.Shard(s[0], s[1]); fault.Classify(err) != fault.Usage {
			t.Errorf("part %v: %v, want a usage error", s, err)
		}
	}
	job.Until = &Until{Percent: 1, Least: 4}
	job.Plan, _ = job.Plan.Shard(0, 2)
	if _, err := resume(c, job, Keeper{}, &fake{width: 8}); fault.Classify(err) != fault.Usage {
		t.Errorf("a stop rule in a part: %v, want a usage error", err)
	}
}
