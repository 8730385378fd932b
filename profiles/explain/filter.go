package explain

import "encoding/binary"

// gram is how many bytes of a literal are looked up at each position of a line.
const gram = 4

// slots is the size of the filter's table.
const slots = 1 << 15

// filter finds which of many literals occur in a line in one pass. A gigabyte of
// log against two hundred literals, one strings.Contains each, takes minutes;
// this takes seconds: at each position one table look-up, and rarely a comparison.
type filter struct {
	table  [slots]uint16 // 1 + index into chains; 0 = no literal has such a gram
	chains [][]entry
}

// entry is a literal and who wants it.
type entry struct {
	text  string
	at    int // where in text the looked-up gram begins
	owner int
}

func newFilter() *filter { return &filter{} }

func slot(b []byte) uint32 {
	return binary.LittleEndian.Uint32(b) * 0x9E3779B1 >> (32 - 15)
}

// add makes the filter look for text on behalf of owner. A text shorter than a
// gram is not looked for. Of a literal, the gram whose slot is least crowded
// stands for it, and among equals the last: messages begin alike.
func (f *filter) add(text string, owner int) {
	best, crowd := -1, 0
	for at := 0; at+gram <= len(text); at++ {
		n := 0
		if c := f.table[slot([]byte(text[at:at+gram]))]; c > 0 {
			n = len(f.chains[c-1])
		}
		if n += plain(text[at : at+gram]); best < 0 || n <= crowd {
			best, crowd = at, n
		}
	}
	if best < 0 {
		return
	}
	s := slot([]byte(text[best : best+gram]))
	if f.table[s] == 0 {
		f.chains = append(f.chains, nil)
		f.table[s] = uint16(len(f.chains))
	}
	c := f.table[s] - 1
	f.chains[c] = append(f.chains[c], entry{text, best, owner})
}

// plain is how common a gram is in logs by its look: words of small letters are
// everywhere, capitals and punctuation are not.
func plain(g string) (n int) {
	for i := range len(g) {
		if c := g[i]; 'a' <= c && c <= 'z' || c == ' ' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '=' {
			n++
		}
	}
	return n
}

// find calls hit for every owner of a literal in line; several times for an owner
// of several.
func (f *filter) find(line []byte, hit func(owner int)) {
	for i := 0; i+gram <= len(line); i++ {
		c := f.table[slot(line[i:])]
		if c == 0 {
			continue
		}
		for _, e := range f.chains[c-1] {
			if from := i - e.at; from >= 0 && from+len(e.text) <= len(line) && string(line[from:from+len(e.text)]) == e.text {
				hit(e.owner)
			}
		}
	}
}
