package validate

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

func TestPower(t *testing.T) {
	exp := func(x float64) float64 { return power(x * perE) }
	r := rand.New(rand.NewPCG(1, 1))
	worst := 0.0
	for i := range 2_000_000 {
		x := -690 * r.Float64()
		if i%2 == 0 {
			x = -float64(float32(30 * r.Float64()))
		}
		worst = max(worst, math.Abs(exp(x)/math.Exp(x)-1))
	}
	if worst > 1e-12 {
		t.Errorf("off by %g of itself", worst)
	}
	if exp(0) != 1 || exp(-701) != 0 || exp(math.Inf(-1)) != 0 || !math.IsNaN(exp(math.NaN())) {
		t.Errorf("exp of 0, -701, -Inf, NaN: %v %v %v %v", exp(0), exp(-701), exp(math.Inf(-1)), exp(math.NaN()))
	}
}

// A live reference gives the KL of the definition, over all tokens.
func TestLiveReference(t *testing.T) {
	s := newSample(t, 200, 64, 0.5)
	s.ref[2][5], s.own[2][5] = float32(math.Inf(-1)), float32(math.Inf(-1)) // a masked token
	a, err := NewAccumulator(s.windows, s.bundle.Convention, s.bundle.Tokens, nil, "prefill")
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	var all []Position
	for i, row := range s.ref {
		if err := binary.Write(&stream, binary.LittleEndian, row); err != nil {
			t.Fatal(err)
		}
		all = append(all, Position{i / (sampleLength - 1), i % (sampleLength - 1), s.own[i]})
	}
	a.Live(&stream)
	if err := a.Add(all...); err != nil {
		t.Fatal(err)
	}
	score, err := a.Score()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, p := range all {
		r := row{Position: p, target: s.windows[p.Window].IDs[p.At+1], live: s.ref[i]}
		r.measure()
		sum += r.kl
		p, q := softmax(s.ref[i]), softmax(s.own[i])
		kl, delta, logit, above := 0.0, 0.0, 0.0, 0
		for k := range p {
			if p[k] == 0 {
				continue
			}
			kl += p[k] * math.Log(p[k]/q[k])
			delta = max(delta, math.Abs(math.Log(p[k]/q[k])))
			logit = max(logit, math.Abs(float64(s.ref[i][k])-float64(s.own[i][k])))
			if p[k] > p[largest(s.own[i])] {
				above++
			}
		}
		agree := byte(0)
		if above == 0 {
			agree |= top1
		}
		if above < 5 {
			agree |= top5
		}
		for _, c := range []struct {
			what      string
			got, want float64
		}{{"KL", r.kl, kl}, {"delta", r.delta, delta}, {"logit error", r.logit, logit},
			{"agreement", float64(r.agree), float64(agree)}, {"NLL", r.nll, -math.Log(q[r.target])}, {"reference's NLL", r.refNLL, -math.Log(p[r.target])}} {
			if math.Abs(c.got-c.want) > 1e-9 {
				t.Errorf("row %d: %s %v, want %v", i, c.what, c.got, c.want)
			}
		}
	}
	total := 0.0
	for _, v := range score.KL.Windows {
		total += v
	}
	if math.Abs(total-sum) > 1e-9 {
		t.Errorf("KL adds up to %g, in the score to %g", sum, total)
	}
	if a.Add(all[0]) == nil {
		t.Error("a row was given twice")
	}
}

// The cost of a scored token of GPT-2's vocabulary.
func BenchmarkLogSumExp(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	row := make([]float32, 50257)
	for i := range row {
		row[i] = float32(3 * r.NormFloat64())
	}
	for b.Loop() {
		LogSumExp(row)
	}
}
