package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/validate"
)

// torchScores has PyTorch compare two sets of logits [n, vocab] as package
// validate does: NLL of the candidate, KL with all but the k most likely tokens
// of the reference taken together, largest difference, agreement.
const torchScores = `
import json, sys, torch
n, vocab, k = (int(x) for x in sys.argv[1:4])
raw = torch.frombuffer(bytearray(sys.stdin.buffer.read()), dtype=torch.float32).view(2, n, vocab).double()
target = torch.arange(n) % vocab
p, q = torch.log_softmax(raw, dim=-1)
top = torch.topk(p, k, dim=-1).indices
def merged(x):
    kept = x.gather(1, top)
    rest = torch.logsumexp(x.scatter(1, top, float("-inf")), dim=-1, keepdim=True)
    return torch.cat([kept, rest], dim=1)
kl = torch.nn.functional.kl_div(merged(q), merged(p), log_target=True, reduction="none").sum(-1)
json.dump({"nll": torch.nn.functional.cross_entropy(raw[1], target, reduction="none").tolist(), "kl": kl.tolist(),
           "full": torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1).tolist(), "logit": (raw[0] - raw[1]).abs().max(-1).values.tolist(),
           "dprob": (q.exp() - p.exp()).gather(1, target[:, None])[:, 0].tolist(),
           "top5": [int(a in b) for a, b in zip(q.argmax(-1).tolist(), torch.topk(p, 5, dim=-1).indices.tolist())],
           "delta": (p - q).gather(1, top).abs().max(-1).values.tolist(), "agree": (p.argmax(-1) == q.argmax(-1)).int().tolist()}, sys.stdout)
`

func TestScoresAsTorch(t *testing.T) {
	const rows, vocab, topK = 60, 1000, 64
	r := rand.New(rand.NewPCG(3, 4))
	var logits [2][][]float32
	var raw []byte
	for side := range logits {
		for i := range rows {
			row := make([]float32, vocab)
			for j := range row {
				row[j] = float32(4 * r.NormFloat64())
				if side == 1 {
					row[j] = logits[0][i][j] + float32(0.05*float64(i)*r.NormFloat64())
				}
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(row[j]))
			}
			logits[side] = append(logits[side], row)
		}
	}
	want := askTorch(t, raw, rows, vocab, topK)
	bundle, windows := recorded(t, logits[0], topK)
	for i := range rows {
		got := scored(t, bundle, windows[i], nil, logits[1][i])
		live := scored(t, bundle, windows[i], raw[i*vocab*4:(i+1)*vocab*4], logits[1][i])
		near(t, i, "KL", got.KL.Windows[0], want.KL[i])
		near(t, i, "largest difference", float64(got.MaxDelta), want.Delta[i])
		near(t, i, "full KL", live.KL.Windows[0], want.Full[i])
		near(t, i, "logit error", live.WorstLogit[0], want.Logit[i])
		for _, s := range []*validate.Score{got, live} {
			near(t, i, "NLL", s.NLL.Windows[0], want.NLL[i])
			near(t, i, "difference of probability", s.DProb.Windows[0], want.DProb[i])
			if s.Top1 != want.Agree[i] || s.Top5 != want.Top5[i] {
				t.Errorf("row %d: agreement %d and %d, PyTorch says %d and %d", i, s.Top1, s.Top5, want.Agree[i], want.Top5[i])
			}
		}
	}
}

func near(t *testing.T, row int, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-5 {
		t.Errorf("row %d: %s %v, PyTorch says %v", row, what, got, want)
	}
}

type torchAnswer struct {
	NLL, KL, Full, Delta, Logit, DProb []float64
	Agree, Top5                        []int
}

func askTorch(t *testing.T, raw []byte, numbers ...int) (answer torchAnswer) {
	t.Helper()
	args := []string{"-c", torchScores}
	for _, n := range numbers {
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, string(b))
	}
	cmd := exec.Command(testenv.Python(t, "reference"), args...)
	cmd.Stdin = bytes.NewReader(raw)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking PyTorch: %v", err)
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// recorded is a bundle of the reference's logits, each a window of two tokens: row i
// predicts token i.
func recorded(t *testing.T, logits [][]float32, topK int) (*validate.Bundle, []validate.Window) {
	t.Helper()
	vocab, n := len(logits[0]), len(logits)
	ids := make([]int, 2*n)
	for i := range n {
		ids[2*i+1] = i % vocab
	}
	c := validate.Convention{Name: validate.HFNonOverlap, Length: 2}
	dir, i := t.TempDir(), 0
	h := validate.Header{CreatedBy: "test", Convention: c, Tokens: len(ids), Windows: n, Rows: n, Vocab: vocab, TopK: topK}
	err := validate.Write(dir, h, func() (validate.Row, error) {
		row := referenceRow(logits[i], ids[2*i+1], topK)
		i++
		return row, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return read(t, dir), c.Windows(ids)
}

// scored is package validate's answer for one row, against the bundle or, where there
// are any, against the reference's logits as a stream.
func scored(t *testing.T, b *validate.Bundle, w validate.Window, stream []byte, logits []float32) *validate.Score {
	t.Helper()
	against := b
	if stream != nil {
		against = nil
	}
	a, err := validate.NewAccumulator([]validate.Window{w}, b.Convention, b.Tokens, against, "prefill")
	if err != nil {
		t.Fatal(err)
	}
	if stream != nil {
		a.Live(bytes.NewReader(stream))
	}
	if err := a.Add(validate.Position{Logits: logits}); err != nil {
		t.Fatal(err)
	}
	s, err := a.Score()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// referenceRow keeps the most likely tokens, found one after the other.
func referenceRow(logits []float32, target, topK int) validate.Row {
	lse, _ := validate.LogSumExp(logits)
	row := validate.Row{NLL: float32(lse - float64(logits[target])), LSE: float32(lse)}
	rest := 1.0
	for rest := append([]float32(nil), logits...); len(row.IDs) < topK; {
		_, top := validate.LogSumExp(rest)
		row.IDs, row.LogProbs = append(row.IDs, uint32(top)), append(row.LogProbs, float32(float64(logits[top])-lse))
		rest[top] = float32(math.Inf(-1))
	}
	for _, p := range row.LogProbs {
		rest -= math.Exp(float64(p))
	}
	row.Tail = float32(max(rest, 0))
	return row
}
