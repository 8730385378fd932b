package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/golden"
)

// sampleCalibration is a model of four layers, one of whose layer norms has
// outliers and one of whose MLPs was still growing at the end.
func sampleCalibration() Calibration {
	r := rand.New(rand.NewPCG(1, 2))
	c := Calibration{CreatedBy: "trtforge test", Title: "table.json",
		Table:        &calib.Table{Model: strings.Repeat("ab", 32), Text: strings.Repeat("cd", 32), Method: "absmax", Samples: 64, Tokens: 4608, Ranges: map[string]calib.Range{}},
		Observations: &calib.Observations{Curve: &calib.Curve{Method: "absmax", Every: 1, Amax: map[string][]float32{}}},
	}
	curve := c.Observations.Curve
	for n := 4; n <= 64; n += 4 {
		curve.Samples = append(curve.Samples, n)
	}
	for layer := range 4 {
		for _, part := range []string{"ln_1/LayerNormalization", "attn/Reshape_3", "ln_2/LayerNormalization", "mlp/Gelu"} {
			name := fmt.Sprintf("/h.%d/%s_output_0", layer, part)
			channels := &calib.Channels{Lo: make([]float32, 64), Hi: make([]float32, 64)}
			for i := range channels.Hi {
				channels.Hi[i] = 1 + r.Float32()
				channels.Lo[i] = -channels.Hi[i] * r.Float32()
			}
			x := calib.Outlier{Tensor: name, Deviation: 0.9, Kurtosis: 3 + 2*r.Float64(), Dominant: []calib.Dominant{{Channel: 7, Absmax: 2, Ratio: 1.4}}}
			if name == "/h.2/ln_1/LayerNormalization_output_0" {
				channels.Hi[42] = 47
				x.Kurtosis, x.Clipped, x.Dominant = 310, 0.00012, []calib.Dominant{{Channel: 42, Absmax: 47, Ratio: 31}, {Channel: 7, Absmax: 2, Ratio: 1.3}}
			}
			x.Lo, x.Hi = -2, 2.25
			for i := range channels.Hi {
				x.Lo, x.Hi = min(x.Lo, channels.Lo[i]), max(x.Hi, channels.Hi[i])
			}
			x.Amax = max(-x.Lo, x.Hi)
			c.Table.Ranges[name] = calib.Range{Lo: x.Lo, Hi: x.Hi, Amax: x.Amax, Channels: channels}
			for i, n := range curve.Samples {
				a := float64(x.Amax) * (1 - 0.3*math.Exp(-float64(n)/(3+6*r.Float64())))
				if part == "mlp/Gelu" && layer == 3 {
					a = float64(x.Amax) * (0.6 + 0.4*float64(i+1)/float64(len(curve.Samples)))
				}
				if i > 0 {
					a = max(a, float64(curve.Amax[name][i-1]))
				}
				curve.Amax[name] = append(curve.Amax[name], float32(a))
			}
			c.Outliers = append(c.Outliers, x)
		}
	}
	return c
}

func TestCalibrationGolden(t *testing.T) {
	var b bytes.Buffer
	if err := CalibrationHTML(&b, sampleCalibration()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "calibration.html"), b.Bytes())
	for _, part := range []string{"1 of 16 ranges were still moving", "channel 42, 31.0×", "Channel 42 of /h.2/ln_1", "/h.3/mlp/Gelu_output_0 · after 64 samples"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

// TestCalibrationDrift shows a drift first, and a page without curves or channels,
// as merged parts and foreign tables give it, is still a page.
func TestCalibrationDrift(t *testing.T) {
	c := sampleCalibration()
	lock := *c.Table
	lock.Method = "entropy"
	lock.Ranges = map[string]calib.Range{"/h.0/mlp/Gelu_output_0": {Amax: 1}, "/h.9/gone": {Amax: 1}, "/h.1/mlp/Gelu_output_0": c.Table.Ranges["/h.1/mlp/Gelu_output_0"]}
	c.Drift = calib.Compare(&lock, c.Table, 5)
	c.Observations.Curve = nil
	for name, r := range c.Table.Ranges {
		r.Channels = nil
		c.Table.Ranges[name] = r
	}
	var b bytes.Buffer
	if err := CalibrationHTML(&b, c); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"The table drifted from the committed one", "1 of 2 ranges moved by more than 5 % from the committed table, 1 are gone, 14 are new.", "The committed table was made by entropy, this one by absmax.", "<td class=\"n\">1.00</td>", "gone", "new"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	for _, part := range []string{"How the ranges settled", "Dominating channels", "Settled after"} {
		if strings.Contains(b.String(), part) {
			t.Errorf("the page has %q without what it is drawn from", part)
		}
	}
}
