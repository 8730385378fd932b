package validate

import (
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// Span is where a window lies and which of its positions are scored: those from
// First up to the last but one, each predicting the token after it.
type Span struct {
	Begin  int // of its first token in the text, BOS before it included
	Length int // its tokens
	First  int // the first position whose logits are scored
}

// Rows is the number of scored tokens.
func (s Span) Rows() int { return s.Length - 1 - s.First }

// Count is the number of windows of a text of that many tokens; 0 where it is
// shorter than the convention needs.
func (c Convention) Count(tokens int) int {
	if c.check() != nil || tokens < c.Need() {
		return 0
	}
	if c.Name != HFStrided {
		return c.stream(tokens) / c.Length
	}
	n := 1 + (tokens-c.Length+c.Stride-1)/c.Stride
	if c.Span(tokens, n-1).Rows() == 0 { // one token by itself, of windows side by side
		n--
	}
	return n
}

// Need is how many tokens a text must have for one window; llama.cpp wants two.
func (c Convention) Need() int {
	if c.Name == LlamaChunks {
		return 2*c.Length - c.stream(0)
	}
	return c.Length
}

// stream is the number of tokens with what the convention puts before the text.
func (c Convention) stream(tokens int) int {
	if c.AddBOS {
		return tokens + 1
	}
	return tokens
}

// Span is window w, one of Count, of a text of that many tokens.
func (c Convention) Span(tokens, w int) Span {
	switch c.Name {
	case LlamaChunks:
		return Span{Begin: w * c.Length, Length: c.Length, First: c.Length / 2}
	case HFStrided:
		s := Span{Begin: w * c.Stride}
		s.Length = min(c.Length, tokens-s.Begin)
		if w > 0 && c.Stride < c.Length {
			s.First = c.Length - c.Stride - 1 // what the window before has scored ends right behind it
		}
		return s
	}
	return Span{Begin: w * c.Length, Length: c.Length}
}

// Before is the number of scored tokens in the windows before w; with w the number
// of windows it is that of the whole text.
func (c Convention) Before(tokens, w int) int {
	switch w {
	case 0:
		return 0
	case 1:
		return c.Span(tokens, 0).Rows()
	}
	rows := c.Span(tokens, 0).Rows() + c.Span(tokens, w-1).Rows()
	if w > 2 { // between the first and the last one they are alike
		rows += (w - 2) * c.Span(tokens, 1).Rows()
	}
	return rows
}

// Weight is how much each scored token of window w counts in the perplexity.
func (c Convention) Weight(s Span) float64 {
	if c.Name == HFStrided && s.Begin > 0 && c.Stride < c.Length {
		return float64(s.Rows()-1) / float64(s.Rows())
	}
	return 1
}

// Window is a stretch of a text that a model sees at once.
type Window struct {
	Index int // its place in the text's list of windows
	Span
	IDs []int // its tokens; a view of the text's where nothing was put in
}

// Windows cuts a text's tokens as the convention says. A text shorter than the
// convention needs has none.
func (c Convention) Windows(ids []int) []Window {
	n := c.Count(len(ids))
	all := make([]Window, n)
	for w := range all {
		s := c.Span(len(ids), w)
		all[w] = Window{Index: w, Span: s}
		if !c.AddBOS {
			all[w].IDs = ids[s.Begin : s.Begin+s.Length]
			continue
		}
		own := make([]int, s.Length)
		own[0] = c.BOS
		copy(own[1:], ids[s.Begin:s.Begin+s.Length-1]) // the text lies one token behind its BOS
		all[w].IDs = own
	}
	return all
}

// First is the beginning of a text that has n windows, or all of it where it has
// no more: scoring it is scoring those.
func (c Convention) First(ids []int, n int) []int {
	if n <= 0 || n >= c.Count(len(ids)) {
		return ids
	}
	last := c.Span(len(ids), n-1)
	end := last.Begin + last.Length
	if c.AddBOS {
		end--
	}
	return ids[:max(end, c.Need())]
}

// Short is an error of class usage that says how much a text lacks.
func (c Convention) Short(tokens int) error {
	return fault.New(fault.Usage, "scoring", "text", fmt.Sprintf("it has %d tokens, and %s needs %d", tokens, c, c.Need()),
		"give a longer text or a smaller window")
}
