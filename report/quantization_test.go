package report

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/rows"
)

// sampleQuantization is a search over six products of two layers and the head.
func sampleQuantization() Quantization {
	at := func(kl, ppl float64) search.Measurement {
		return search.Measurement{KL: search.Interval{Value: kl, Lo: 0.8 * kl, Hi: 1.2 * kl}, PPL: search.Interval{Value: ppl, Lo: ppl - 1e-3, Hi: ppl + 1e-3}, Windows: 8}
	}
	d := &quant.Decisions{Precision: quant.INT8FP16}
	for i, role := range []quant.Role{quant.QKV, quant.FC2, quant.QKV, quant.FC2, quant.LMHead} {
		kl := []float64{8e-6, 6e-5, 4e-7, 2e-5, 3e-6}[i]
		c := quant.Choice{Decision: quant.Decision{Node: "/" + string(role) + "<" + string(rune('a'+i)), Role: role, Layer: i / 2, Quantized: i != 1, Reason: "the search takes it", Amax: 3.5},
			WeightBytes: 200_000, FloatBytes: 400_000}
		if role == quant.LMHead {
			c.Layer = -1
		}
		if i == 1 {
			c.Amax, c.WeightBytes, c.Reason = 0, c.FloatBytes, "the search leaves it in high precision"
		}
		c.Sensitivity = &quant.Sensitivity{KL: rows.Number(kl), KLLo: rows.Number(0.7 * kl), KLHi: rows.Number(1.3 * kl), PPLRatio: 1.0002, Activation: rows.Number(0.9 * kl), Weight: rows.Number(0.1 * kl)}
		d.Decisions = append(d.Decisions, c)
	}
	confirmed := at(6.1e-5, 1.0004)
	subset := func(s string) (all search.Subset) {
		_ = all.UnmarshalText([]byte(s)) // digits
		return all
	}
	none := search.Point{Chosen: subset("00000"), Measured: search.Measurement{PPL: search.Interval{Value: 1, Lo: 1, Hi: 1}, Windows: 8}}
	chosen := search.Point{Chosen: subset("10111"), Saved: 800_000, Measured: at(5.8e-5, 1.0003), Confirmed: &confirmed}
	greedy := search.Point{Chosen: subset("10101"), Saved: 600_000, Measured: at(2e-5, 0.9999)}
	return Quantization{CreatedBy: "trtforge test", Title: "gpt2-int8", Decisions: d, Before: 8_000_000, After: 3_200_000, Read: 7_600_000, ReadAfter: 3_000_000,
		Notes: []string{"the cache's values are rescaled by channel"},
		Search: &search.Result{Gate: search.Gate{KLMax: 1e-4, PPLRatioMax: 1.005}, Chosen: chosen, Greedy: greedy, Measurements: 5,
			Points: []search.Point{none, {Chosen: subset("00100"), Saved: 200_000, Measured: at(4e-7, 1.0001)}, greedy, chosen, {Chosen: subset("11111"), Saved: 1_000_000, Measured: at(2e-4, 1.002)}}}}
}

func TestQuantizationGolden(t *testing.T) {
	var b bytes.Buffer
	if err := QuantizationHTML(&b, sampleQuantization()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "quantization.html"), b.Bytes())
	for _, part := range []string{"4 of 5 matrix products INT8", "/qkv&lt;a", `class="gate"`, "did not see"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

// TestQuantizationWithoutMeasurements has a table and no picture.
func TestQuantizationWithoutMeasurements(t *testing.T) {
	q := sampleQuantization()
	q.Search = nil
	for i := range q.Decisions.Decisions {
		q.Decisions.Decisions[i].Sensitivity = nil
	}
	var b bytes.Buffer
	if err := QuantizationHTML(&b, q); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<svg") || strings.Contains(b.String(), "KL alone") || !strings.Contains(b.String(), "Every product") {
		t.Error("a page of nothing measured")
	}
}
