package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// record is what a trace can say of a request, in every name that it has.
// encoding/json matches names without regard to case. Numbers are floats because
// pandas writes 12 as 12.0.
type record struct {
	// Prompt tokens.
	InputLength   *float64 `json:"input_length"`          // AIPerf, Mooncake
	ISL           *float64 `json:"isl"`                   // AIPerf, trtllm-bench
	InputSeqLen   *float64 `json:"input_sequence_length"` // GenAI-Perf
	PromptTokens  *float64 `json:"prompt_tokens"`         // OpenAI's usage
	InputTokens   *float64 `json:"input_tokens"`          // Anthropic's usage
	PromptLen     *float64 `json:"prompt_len"`            // vLLM
	PromptLength  *float64 `json:"prompt_length"`         // Bailian
	InputLen      *float64 `json:"input_len"`             // trtllm-bench, older
	ContextTokens *float64 `json:"contexttokens"`         // Azure
	RequestTokens *float64 `json:"request tokens"`        // BurstGPT
	InputIDs      elements `json:"input_ids"`             // trtllm-bench
	TokenIDs      elements `json:"prompt_token_ids"`      // vLLM

	// New tokens.
	OutputLength     *float64 `json:"output_length"`
	OSL              *float64 `json:"osl"`
	OutputSeqLen     *float64 `json:"output_sequence_length"`
	CompletionTokens *float64 `json:"completion_tokens"`
	OutputTokens     *float64 `json:"output_tokens"`
	OutputLen        *float64 `json:"output_len"`
	ExpectedLen      *float64 `json:"expected_output_len"`
	ResponseLength   *float64 `json:"response_length"`
	GeneratedTokens  *float64 `json:"generatedtokens"`
	ResponseTokens   *float64 `json:"response tokens"`
	NewTokens        *float64 `json:"new_tokens"`
	MaxTokens        *float64 `json:"max_tokens"` // a bound: counts where nothing else is said

	// Nested: OpenAI's responses, AIPerf's and GenAI-Perf's records.
	Usage   *usage   `json:"usage"`
	Metrics *metrics `json:"metrics"`

	// Texts, which need a tokenizer.
	Conversations []turn `json:"conversations"` // ShareGPT
	Messages      []turn `json:"messages"`      // OpenAI
	Prompt        texts  `json:"prompt"`
	TextInput     texts  `json:"text_input"` // AIPerf
	Text          texts  `json:"text"`       // AIPerf
	Completion    texts  `json:"completion"`
	Response      texts  `json:"response"`
}

type usage struct {
	PromptTokens     *float64 `json:"prompt_tokens"`
	InputTokens      *float64 `json:"input_tokens"`
	CompletionTokens *float64 `json:"completion_tokens"`
	OutputTokens     *float64 `json:"output_tokens"`
}

type metrics struct {
	Input  *metric `json:"input_sequence_length"`
	Output *metric `json:"output_sequence_length"`
}

type metric struct {
	Value *float64 `json:"value"`
}

// turn is one message of a conversation.
type turn struct {
	From    string `json:"from"`
	Role    string `json:"role"`
	Value   texts  `json:"value"`
	Content texts  `json:"content"`
}

func (t turn) text() string { return string(t.Value) + string(t.Content) }

// texts is a string; anything else in its place (a list of parts) is empty.
type texts string

// UnmarshalJSON never fails: what is no string is no text.
func (t *texts) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = texts(s)
	}
	return nil
}

// elements is the length of an array of numbers; -1 = something else.
type elements int

// UnmarshalJSON counts commas: an array of numbers holds no others. An array of
// anything else is -1.
func (e *elements) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
	case len(b) < 2 || b[0] != '[' || bytes.ContainsAny(b[1:], "[{\"ntf"): // also null, true and false
		*e = -1
	case len(bytes.TrimSpace(b[1:len(b)-1])) > 0:
		*e = elements(bytes.Count(b, []byte(",")) + 1)
	}
	return nil
}

// prompts and freshs are the names that lengths have at the top of a record.
func (r *record) prompts() [10]*float64 {
	return [...]*float64{r.InputLength, r.ISL, r.InputSeqLen, r.PromptTokens, r.InputTokens, r.PromptLen, r.PromptLength, r.InputLen, r.ContextTokens, r.RequestTokens}
}

func (r *record) freshs() [11]*float64 {
	return [...]*float64{r.OutputLength, r.OSL, r.OutputSeqLen, r.CompletionTokens, r.OutputTokens, r.OutputLen, r.ExpectedLen, r.ResponseLength, r.GeneratedTokens, r.ResponseTokens, r.NewTokens}
}

// stated are all lengths of a record, in the order in which they count.
func (r *record) stated() (prompt, fresh []*float64) {
	prompts, freshs := r.prompts(), r.freshs()
	prompt, fresh = prompts[:], freshs[:]
	if u := r.Usage; u != nil {
		prompt, fresh = append(prompt, u.PromptTokens, u.InputTokens), append(fresh, u.CompletionTokens, u.OutputTokens)
	}
	if m := r.Metrics; m != nil {
		if m.Input != nil {
			prompt = append(prompt, m.Input.Value)
		}
		if m.Output != nil {
			fresh = append(fresh, m.Output.Value)
		}
	}
	return prompt, fresh
}

// knownNames are the usual names, for advice.
func knownNames() string {
	return "input_length and output_length, isl and osl, prompt_tokens and completion_tokens, input_tokens and output_tokens, or prompt_len and output_len"
}

// record counts what a record says.
func (t *tracer) record(n int, r *record) {
	prompt, fresh, ok := r.usual()
	if !ok {
		var err error
		if prompt, fresh, err = t.look(r); err != nil {
			t.bad(n, err.Error())
			return
		}
	}
	t.add(n, prompt, fresh)
}

// usual is the most usual pair of names, where no other says a length. Most
// traces of millions of lines have it, and nothing is allocated for them.
func (r *record) usual() (prompt, fresh int, ok bool) {
	a, b := r.InputLength, r.OutputLength
	if a == nil || b == nil || r.Usage != nil || r.Metrics != nil {
		return 0, 0, false
	}
	prompts, freshs := r.prompts(), r.freshs()
	for _, other := range prompts[1:] {
		if other != nil {
			return 0, 0, false
		}
	}
	for _, other := range freshs[1:] {
		if other != nil {
			return 0, 0, false
		}
	}
	sound := func(v float64) bool { return v >= 0 && v <= maxTokens && v == math.Trunc(v) }
	return int(*a), int(*b), sound(*a) && sound(*b)
}

// look goes through every name, then arrays of ids, then texts.
func (t *tracer) look(r *record) (prompt, fresh int, err error) {
	prompts, freshs := r.stated()
	if prompt, err = agreed("prompt tokens", prompts); err != nil {
		return 0, 0, err
	}
	if fresh, err = agreed("new tokens", freshs); err != nil {
		return 0, 0, err
	}
	if prompt < 0 {
		if r.InputIDs < 0 || r.TokenIDs < 0 {
			return 0, 0, fmt.Errorf("input_ids is no array of numbers")
		}
		prompt = max(int(r.InputIDs), int(r.TokenIDs))
		if prompt == 0 {
			prompt = -1
		}
	}
	question, answer := r.said()
	if prompt < 0 && question != "" {
		if prompt, err = t.tokens(question); err != nil {
			return 0, 0, err
		}
	}
	if fresh < 0 && answer != "" {
		if fresh, err = t.tokens(answer); err != nil {
			return 0, 0, err
		}
	}
	if fresh < 0 {
		if fresh, err = agreed("new tokens", []*float64{r.MaxTokens}); err != nil {
			return 0, 0, err
		}
	}
	switch {
	case prompt < 0 && fresh < 0:
		return 0, 0, fmt.Errorf("no length that has a known name")
	case prompt < 0:
		return 0, 0, fmt.Errorf("no prompt length")
	case fresh < 0:
		return 0, 0, fmt.Errorf("no length of the answer")
	}
	return prompt, fresh, nil
}

// agreed is the length that all of them state; -1 = none does.
func agreed(what string, all []*float64) (int, error) {
	n := -1
	for _, v := range all {
		switch {
		case v == nil:
		case *v < 0:
			return 0, fmt.Errorf("negative %s", what)
		case *v != math.Trunc(*v):
			return 0, fmt.Errorf("%s are no whole number", what)
		case *v > maxTokens:
			return 0, fmt.Errorf("more than %d %s", maxTokens, what)
		case n >= 0 && n != int(*v):
			return 0, fmt.Errorf("two names for %s that differ", what)
		default:
			n = int(*v)
		}
	}
	return n, nil
}

// said is the first question and its answer, as vLLM takes them from ShareGPT:
// what follows in a conversation is left.
func (r *record) said() (question, answer string) {
	question = string(r.Prompt) + string(r.TextInput) + string(r.Text)
	answer = string(r.Completion) + string(r.Response)
	for _, all := range [][]turn{r.Conversations, r.Messages} {
		var before strings.Builder
		for _, t := range all {
			if t.From == "gpt" || t.Role == "assistant" || t.From == "assistant" {
				if question == "" {
					question = before.String()
				}
				if answer == "" {
					answer = t.text()
				}
				break
			}
			before.WriteString(t.text())
		}
		if question == "" {
			question = before.String()
		}
	}
	return question, answer
}

// tokens counts a text, where it can.
func (t *tracer) tokens(text string) (int, error) {
	t.text = true
	if t.o.Tokens == nil {
		return 0, fmt.Errorf("text in place of lengths")
	}
	n, err := t.o.Tokens(text)
	if err != nil {
		return 0, fmt.Errorf("a text that the tokenizer refuses")
	}
	return n, nil
}
