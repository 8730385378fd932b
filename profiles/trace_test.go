package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/trtforge/trtforge/internal/fault"
)

// read is the trace as (prompt, new) of a single request.
func readOne(t *testing.T, text string, o TraceOptions) (prompt, fresh int) {
	t.Helper()
	r, _, err := ReadTrace(strings.NewReader(text), "t", o)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return -1, -1
	}
	for n, k := range r.prompts {
		if k > 0 {
			prompt = n
		}
	}
	for n, k := range r.ends {
		if k > 0 {
			fresh = n - prompt
		}
	}
	return prompt, fresh
}

// What the tools write that people take traces from.
func TestTraceNames(t *testing.T) {
	words := func(s string) (int, error) { return len(strings.Fields(s)), nil }
	for _, text := range []string{
		`{"timestamp": 0, "input_length": 7, "output_length": 3, "hash_ids": [1, 2]}`, // Mooncake, AIPerf
		`{"isl": 7, "osl": 3}`, `{"ISL": 7.0, "OSL": 3.0}`, `{"input_sequence_length": 7, "output_sequence_length": 3}`,
		`{"metadata": {"x_request_id": "a"}, "metrics": {"input_sequence_length": {"value": 7, "unit": "tokens"}, "output_sequence_length": {"value": 3, "unit": "tokens"}}}`, // AIPerf's records
		`{"task_id": 1, "prompt": "so many words that nobody would count them", "input_ids": [5, 6, 7, 8, 9, 10, 11], "output_tokens": 3}`,                                    // trtllm-bench
		`{"input_len": 7, "output_len": 3}`, `{"prompt_len": 7, "output_len": 3}`, `{"prompt_len": 7, "expected_output_len": 3}`, // vLLM
		`{"id": "cmpl", "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}`, // OpenAI
		`{"usage": {"input_tokens": 7, "output_tokens": 3}}`, `{"input_tokens": 7, "output_tokens": 3}`, `{"prompt_tokens": 7, "completion_tokens": 3}`,
		`{"prompt_length": 7, "response_length": 3}`,
		`{"isl": 7, "input_length": 7, "osl": 3, "max_tokens": 900}`,
		`{"text_input": "a b c d e f g", "output_length": 3}`, `{"prompt": "a b c d e f g", "max_tokens": 3}`,
		`{"messages": [{"role": "system", "content": "a b "}, {"role": "user", "content": "c d e f g"}, {"role": "assistant", "content": "x y z"}, {"role": "user", "content": "more"}]}`,
		`[{"id": "s", "conversations": [{"from": "human", "value": "a b c d e f g"}, {"from": "gpt", "value": "x y z"}, {"from": "human", "value": "and then"}]}]`, // ShareGPT
		"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,7,3\n",                                                                               // Azure
		"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,7,3,10,Conversation log\n",                                                // BurstGPT
		"isl;osl\n7;3\n", "\ufeffprompt_tokens\tcompletion_tokens\r\n7.0\t3\r\n", "name,isl,osl\n\"a, \"\"b\"\"\n\",7,3\n",
		" \n\n" + `{"isl": 7, "osl": 3}`, // space before, no newline at the end
	} {
		if p, n := readOne(t, text, TraceOptions{Tokens: words}); p != 7 || n != 3 {
			t.Errorf("%s: %d prompt and %d new tokens", text, p, n)
		}
	}
}

func TestTracesThatCannotBe(t *testing.T) {
	many := func(bad string) string {
		var b strings.Builder
		for i := range 1000 {
			if i%100 == 6 {
				b.WriteString(bad + "\n")
				continue
			}
			fmt.Fprintf(&b, `{"isl": %d, "osl": 5}`+"\n", i+1)
		}
		return b.String()
	}
	for name, v := range map[string]struct {
		text string
		want []string
	}{
		"nothing":              {"", []string{"no request"}},
		"white space":          {" \n \n", []string{"no request"}},
		"a bad line":           {many("{{{"), []string{"lines 7, 107, 207, 307, 407 and 5 more", "no JSON object", "990 good"}},
		"negative":             {many(`{"isl": -1, "osl": 5}`), []string{"lines 7, 107", "negative prompt tokens", "990 good"}},
		"negative, the answer": {`{"isl": 1, "osl": -5}`, []string{"line 1", "negative new tokens"}},
		"no prompt":            {many(`{"osl": 5}`), []string{"no prompt length"}},
		"no answer":            {`{"isl": 5}`, []string{"no length of the answer"}},
		"no names":             {`{"a": 5}`, []string{"no length that has a known name", "input_length and output_length"}},
		"empty prompt":         {`{"isl": 0, "osl": 5}`, []string{"0 prompt tokens"}},
		"absurd":               {`{"isl": 1e300, "osl": 5}`, []string{"more than 2097152 prompt tokens"}},
		"not whole":            {`{"isl": 1.5, "osl": 5}`, []string{"no whole number"}},
		"a word":               {`{"isl": "seven", "osl": 5}`, []string{"isl is a string"}},
		"usual and another":    {`{"input_length": 5, "output_length": 2, "prompt_tokens": 30}`, []string{"two names for prompt tokens that differ"}},
		"ids that are none":    {`{"input_ids": [1, 2, null, true], "output_length": 3}`, []string{"input_ids"}},
		"two that differ":      {`{"isl": 5, "input_length": 6, "osl": 1}`, []string{"two names for prompt tokens that differ"}},
		"texts":                {`{"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "you"}]}`, []string{"text in place of lengths", "--tokenizer"}},
		"an array that ends":   {`[{"isl": 5, "osl": 5},`, []string{"element 2"}},
		"an array of noise":    {`[1, 2]`, []string{"lines 1, 2"}},
		"no header":            {"7,3\n8,3\n", []string{"header", "0 of its 2 columns"}},
		"half a header":        {"isl,b\n8,3\n", []string{"0 of its 2 columns are called as new tokens are"}},
		"two of one":           {"isl,input_length,osl\n8,3,3\n", []string{"2 of its 3 columns"}},
		"rows":                 {"isl,osl\n8,3\n8\n-8,3\nx,3\n,3\n8,\"3\n", []string{"line 3: too few", "line 4: negative", "line 5: prompt tokens are no number", "line 6: no prompt tokens", "line 7"}},
		"binary":               {"\x00\x01\x02\xff\xfe", []string{"header"}},
	} {
		_, _, err := ReadTrace(strings.NewReader(v.text), "trace.jsonl", TraceOptions{})
		if fault.Exit(err) != 4 {
			t.Errorf("%s: exit %d: %v", name, fault.Exit(err), err)
			continue
		}
		said := err.Error()
		var f *fault.Error
		if errors.As(err, &f) {
			said += "\n" + f.Fix
		}
		for _, want := range v.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %s\ndoes not say %s", name, said, want)
			}
		}
	}
	// Told to, the rest counts, and what was left out is said.
	r, problems, err := ReadTrace(strings.NewReader(many("{{{")), "t", TraceOptions{SkipBad: true})
	if err != nil || r.Number != 990 || len(problems) != 1 || problems[0].Count != 10 || !cmp.Equal(problems[0].Lines, []int{7, 107, 207, 307, 407}) {
		t.Errorf("%v, %+v", err, problems)
	}
	// Too long for the model is no mistake of the trace.
	r, problems, err = ReadTrace(strings.NewReader(many(`{"isl": 3, "osl": 0}`)), "t", TraceOptions{Positions: 100})
	if err != nil || len(problems) != 1 || !problems[0].Long {
		t.Fatalf("%v, %+v", err, problems)
	}
	if n, _ := r.beyond(100, false); n != 0 || r.Number+problems[0].Count != 1000 {
		t.Errorf("%d of %d are longer still, %d were left out", n, r.Number, problems[0].Count)
	}
}

// A line longer than any is one bad line, and an endless record ends the trace;
// neither fills the memory.
func TestTraceRecordsAreBounded(t *testing.T) {
	good := `{"isl": 3, "osl": 2}` + "\n"
	long := `{"prompt": "` + strings.Repeat("x", maxRecord) + `"}` + "\n"
	r, problems, err := ReadTrace(strings.NewReader(good+long+good), "t", TraceOptions{SkipBad: true})
	if err != nil || r.Number != 2 || len(problems) != 1 || problems[0].Lines[0] != 2 {
		t.Errorf("%v, %+v", err, problems)
	}
	medium := `{"isl": 3, "osl": 2, "prompt": "` + strings.Repeat("x", 1<<20) + `"}` + "\n"
	if r, _, err := ReadTrace(strings.NewReader(good+medium+good), "t", TraceOptions{}); err != nil || r.Number != 3 {
		t.Errorf("%v", err)
	}
	for name, head := range map[string]string{"array": `[{"prompt": "`, "csv": "isl,osl\n\""} {
		endless := io.MultiReader(strings.NewReader(head), repeat('x'))
		if _, _, err := ReadTrace(endless, "t", TraceOptions{SkipBad: true}); fault.Exit(err) != 4 || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestOpenReadsTraceAndLengths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	if err := os.WriteFile(path, []byte(`{"isl": 30, "osl": 9}`+"\n"+`{"isl": 300, "osl": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	w := Workload{Trace: path, Lengths: "uniform:1..4 + 2", DropLong: true}
	problems, err := w.Open(TraceOptions{}, 100)
	if err != nil || len(w.Requests) != 2 || len(problems) != 1 || w.Requests[0].Number != 1 {
		t.Fatalf("%v: %v %v", err, problems, w.Requests)
	}
	w.DropLong = false
	if _, err = w.Open(TraceOptions{}, 100); err != nil || w.Fit(100) == nil || !strings.Contains(w.Fit(100).Error(), "1 of 2 requests are longer than the model's 100 positions, the longest reaches 308") {
		t.Errorf("%v: %v", err, w.Fit(100))
	}
	w.Trace += "x"
	if _, err = w.Open(TraceOptions{}, 100); fault.Exit(err) != 4 {
		t.Errorf("no file: %v", err)
	}
}

func FuzzReadTrace(f *testing.F) {
	for _, text := range []string{
		`{"isl": 7, "osl": 3}`, "[{\"input_ids\": [1,2], \"output_tokens\": 1}]", "isl,osl\n1,2\n\"", `{"usage": {"prompt_tokens": -1}}`,
		`{"messages": [{"role": "user", "content": [1]}]}`, "{\n{\"isl\": 1e99}\n", "\ufeff\n[", "a;b\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		words := func(s string) (int, error) { return len(strings.Fields(s)), nil }
		r, problems, err := ReadTrace(bytes.NewReader(b), "f", TraceOptions{SkipBad: true, Tokens: words, Positions: 5000})
		if err != nil {
			if c := fault.Exit(err); c != 4 {
				t.Errorf("exit %d: %v", c, err)
			}
			return
		}
		if len(problems) > maxProblems+1 {
			t.Errorf("%d problems", len(problems))
		}
		w := Workload{Requests: []*Requests{r}}
		if err := errors.Join(w.Check(), w.Fit(5000)); err != nil {
			t.Error(err)
		}
		if n := Passes(Demand(w)); n < float64(r.Number) {
			t.Errorf("%g passes of %d requests", n, r.Number)
		}
	})
}
