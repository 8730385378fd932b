package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// The study's own crossover: ONNX Runtime on the CPU over PyTorch on the GPU, nine
// models. It says k = -0.506, 76M parameters, 95 % interval 56M to 120M.
func TestCrossoverOfTheStudy(t *testing.T) {
	b, err := os.ReadFile(testenv.Data(t, "tr118/study.json"))
	if err != nil {
		t.Fatal(err)
	}
	var study struct {
		Crossover struct {
			Points []struct {
				Params float64 `json:"params_millions"`
				ORT    float64 `json:"ort_cpu_tok_s"`
				Torch  float64 `json:"torch_gpu_tok_s"`
			}
		}
	}
	if err := json.Unmarshal(b, &study); err != nil {
		t.Fatal(err)
	}
	var groups []Group
	for _, p := range study.Crossover.Points {
		groups = append(groups, Group{Size: p.Params, A: []float64{p.ORT}, B: []float64{p.Torch}})
	}
	for seed := range uint64(3) {
		c, err := Crossover(groups, 0, seed)
		if err != nil {
			t.Fatal(err)
		}
		at := c.At
		if math.Abs(c.Law.K.Value+0.506) > 0.0005 || math.Round(at.Value) != 76 || c.Beyond {
			t.Errorf("k %.4f, crossing at %.2fM", c.Law.K.Value, at.Value)
		}
		if at.Lo < 53 || at.Lo > 60 || at.Hi < 112 || at.Hi > 125 {
			t.Errorf("seed %d: interval %.1fM to %.1fM", seed, at.Lo, at.Hi)
		}
		t.Logf("k %.4f, crossing %.2fM [%.1f, %.1f], R² %.3f, k in [%.3f, %.3f]", c.Law.K.Value, at.Value, at.Lo, at.Hi, c.Law.R2, c.Law.K.Lo, c.Law.K.Hi)
	}
	between, err := Between(groups, 0, 1)
	if err != nil || len(between) != 1 || between[0].At.Value < 51.48 || between[0].At.Value > 74.82 || between[0].At.HasInterval() {
		t.Errorf("between the sizes: %+v, %v", between, err)
	}
}

// made are groups whose ratio is (size/at)^k, with noise in each sample.
func made(r *rand.Rand, sizes []float64, n int, at, k, sigma float64) []Group {
	var groups []Group
	for _, size := range sizes {
		g := Group{Size: size, A: lognormal(r, n, sigma, 0), B: lognormal(r, n, sigma, 0)}
		for i := range g.A {
			g.A[i] *= math.Pow(size/at, k)
		}
		groups = append(groups, g)
	}
	return groups
}

func TestCrossoverOfRepeatedSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	sizes := []float64{1, 4, 16, 64, 256, 1024}
	held, between := 0, 0
	const sets = 24
	for i := range sets {
		groups := made(r, sizes, 10, 30, -0.4, 0.1)
		c, err := Crossover(groups, 1000, uint64(i))
		if err != nil || !c.At.HasInterval() {
			t.Fatal(c, err)
		}
		if c.At.Lo <= 30 && 30 <= c.At.Hi {
			held++
		}
		b, err := Between(groups, 500, uint64(i))
		if err != nil || len(b) != 1 {
			t.Fatal(b, err)
		}
		if b[0].At.Lo <= 30 && 30 <= b[0].At.Hi {
			between++
		}
	}
	if held < sets*85/100 || between < sets*85/100 {
		t.Errorf("the crossing lies in %d and, interpolated, %d of %d intervals", held, between, sets)
	}
}

func TestCrossoverSaysWhatItDoesNotKnow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 6))
	one := made(r, []float64{1, 10, 100}, 1, 30, -0.4, 0)
	if c, err := Crossover(one, 0, 1); err != nil || c.At.HasInterval() || math.Abs(c.At.Value-30) > 1e-9 {
		t.Errorf("three sizes, one sample each: %+v, %v", c.At, err)
	}
	if c, err := Crossover(made(r, []float64{1, 10}, 8, 30, -0.4, 0.05), 500, 1); err != nil || !c.Beyond || len(c.At.Warnings) != 2 {
		t.Errorf("a crossing beyond two sizes: %+v, %v", c, err)
	}
	if c, err := Crossover(made(r, []float64{1, 2, 4, 8, 16, 32}, 8, 4, 0, 0.2), 500, 1); err != nil || c.At.HasInterval() {
		t.Errorf("a ratio that does not depend on the size: %+v, %v", c.At, err)
	}
	if b, err := Between(made(r, []float64{1, 2}, 8, 30, -0.4, 0.01), 500, 1); err != nil || len(b) != 0 {
		t.Errorf("no crossing between the sizes: %+v, %v", b, err)
	}
	for name, groups := range map[string][]Group{
		"none": nil, "one size": one[:1], "twice": {one[0], one[0], one[1]}, "zero": {{Size: 1, A: []float64{0}, B: []float64{1}}, one[1]},
		"no samples": {{Size: 1, A: []float64{1}}, one[1]}, "size 0": {{A: []float64{1}, B: []float64{1}}, one[1]}, "NaN": {{Size: math.NaN(), A: []float64{1}, B: []float64{1}}, one[1]},
	} {
		if _, err := Crossover(groups, 0, 1); err == nil {
			t.Errorf("%s gives a crossing", name)
		}
	}
}

func TestBreakEven(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 6))
	slow, fast := lognormal(r, 20, 0.02, 0), lognormal(r, 20, 0.02, 0)
	for i := range slow {
		slow[i]++ // saves 1 ms a token
	}
	s := BreakEven(97_000, slow, fast)
	if !(s.Lo < 97_000 && 97_000 < s.Hi) || math.Abs(s.Value/97_000-1) > 0.03 || s.Hi/s.Lo > 1.1 {
		t.Errorf("97 s at 1 ms a token: %+v", s)
	}
	if s := BreakEven(97_000, fast, slow); !math.IsInf(s.Value, 1) || len(s.Warnings) == 0 {
		t.Errorf("what is slower pays off: %+v", s)
	}
}
