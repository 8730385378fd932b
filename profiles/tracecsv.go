package profiles

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// columns are the names of lengths in CSV headers, in lower case with blanks
// and hyphens as underscores; true is prompt tokens.
var columns = map[string]bool{
	"input_length": true, "isl": true, "input_sequence_length": true, "prompt_tokens": true, "input_tokens": true,
	"prompt_len": true, "prompt_length": true, "input_len": true, "contexttokens": true, "context_tokens": true, "request_tokens": true,
	"num_prefill_tokens": true,
	"output_length":      false, "osl": false, "output_sequence_length": false, "completion_tokens": false, "output_tokens": false,
	"output_len": false, "expected_output_len": false, "response_length": false, "generatedtokens": false, "generated_tokens": false,
	"response_tokens": false, "new_tokens": false, "num_decode_tokens": false,
}

// csv reads a table whose header names one column of each length.
func (t *tracer) csv(in *bufio.Reader) error {
	head, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	bounded := &budget{r: in, left: maxRecord}
	r := csv.NewReader(bounded)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(string(head)), -1, true
	header, err := r.Read()
	if err != nil {
		return refused(1, err)
	}
	header = slices.Clone(header) // the next row takes its place
	prompt, fresh, err := lengthColumns(header)
	if err != nil {
		return err
	}
	for {
		bounded.left = maxRecord
		row, err := r.Read()
		var parse *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &parse):
			t.bad(parse.StartLine, parse.Err.Error())
			continue
		case err != nil:
			return err
		}
		line, _ := r.FieldPos(0)
		if len(row) > len(header) {
			t.bad(line, "more columns than the header")
			continue
		}
		t.row(line, row, prompt, fresh)
	}
}

func refused(line int, err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	return fault.New(fault.Input, "reading trace", fmt.Sprintf("line %d", line), parse.Err.Error(), "want JSON lines, or CSV with a header")
}

// separator is the one that the header has most of.
func separator(head string) rune {
	line, _, _ := strings.Cut(head, "\n")
	best := ','
	for _, c := range ";\t|" {
		if strings.Count(line, string(c)) > strings.Count(line, string(best)) {
			best = c
		}
	}
	return best
}

// lengthColumns finds the two lengths. None or two of one are not guessed at.
func lengthColumns(header []string) (prompt, fresh int, err error) {
	at := map[bool][]int{}
	for i, name := range header {
		key := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
		if isPrompt, known := columns[key]; known {
			at[isPrompt] = append(at[isPrompt], i)
		}
	}
	for _, v := range []struct {
		isPrompt bool
		what     string
	}{{true, "prompt tokens"}, {false, "new tokens"}} {
		if n := len(at[v.isPrompt]); n != 1 {
			return 0, 0, fault.New(fault.Input, "reading trace", "its header",
				fmt.Sprintf("%d of its %d columns are called as %s are: %q", n, len(header), v.what, short(strings.Join(header, ", "))),
				"name one column of each: "+knownNames())
		}
	}
	return at[true][0], at[false][0], nil
}

// short is the beginning of a text that may be anything.
func short(text string) string {
	if len(text) > 40 {
		return text[:40]
	}
	return text
}

// row counts one request.
func (t *tracer) row(line int, row []string, prompt, fresh int) {
	if len(row) <= max(prompt, fresh) {
		t.bad(line, "too few columns")
		return
	}
	p, err := cellLength("prompt tokens", row[prompt])
	if err != nil {
		t.bad(line, err.Error())
		return
	}
	f, err := cellLength("new tokens", row[fresh])
	if err != nil {
		t.bad(line, err.Error())
		return
	}
	t.add(line, p, f)
}

func cellLength(what, text string) (int, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= maxTokens {
		return n, nil
	}
	if text == "" {
		return 0, fmt.Errorf("no %s", what)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != v {
		return 0, fmt.Errorf("%s are no number", what)
	}
	return agreed(what, []*float64{&v})
}
