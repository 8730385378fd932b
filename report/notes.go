package report

import (
	"slices"
	"strconv"
	"strings"
)

// notes numbers doubts in the order in which they are first met. Doubts that say the
// same of other numbers are one, with the range of the numbers: what a single figure
// was doubted for stands in its row.
type notes struct{ all []note }

// note is one or several doubts.
type note struct {
	words  []string
	lo, hi []float64 // of words that are numbers
	least  []string  // as they were written
	most   []string
}

// number is the note of a doubt, from 1.
func (n *notes) number(text string) int {
	one := newNote(text)
	i := slices.IndexFunc(n.all, func(o note) bool { return slices.Equal(o.words, one.words) })
	if i < 0 {
		n.all = append(n.all, one)
		return len(n.all)
	}
	n.all[i].join(one)
	return i + 1
}

// texts are the notes as they are read.
func (n *notes) texts() []string {
	var all []string
	for _, one := range n.all {
		all = append(all, one.text())
	}
	return all
}

// place stands among a note's words for a number.
const place = "\x00"

func newNote(text string) note {
	var n note
	for _, word := range strings.Fields(text) {
		figure := strings.TrimRight(word, ",;:")
		v, err := strconv.ParseFloat(figure, 64)
		if err != nil || !bounded(v, v) {
			n.words = append(n.words, word)
			continue
		}
		n.words = append(n.words, place+word[len(figure):])
		n.lo, n.hi = append(n.lo, v), append(n.hi, v)
		n.least, n.most = append(n.least, figure), append(n.most, figure)
	}
	return n
}

// join widens the ranges by another doubt's numbers.
func (n *note) join(o note) {
	for i := range n.lo {
		if o.lo[i] < n.lo[i] {
			n.lo[i], n.least[i] = o.lo[i], o.least[i]
		}
		if o.hi[i] > n.hi[i] {
			n.hi[i], n.most[i] = o.hi[i], o.most[i]
		}
	}
}

func (n note) text() string {
	words, at := slices.Clone(n.words), 0
	for i, w := range words {
		end, is := strings.CutPrefix(w, place)
		if !is {
			continue
		}
		if words[i] = n.least[at] + end; n.least[at] != n.most[at] {
			words[i] = n.least[at] + " to " + n.most[at] + end
		}
		at++
	}
	return strings.Join(words, " ")
}
