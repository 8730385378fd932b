package bpe

// merger applies merges to one word after the other. Its buffers are reused.
type merger struct {
	parts []part
	heap  []candidate
	ids   []int32
}

// part is a token of the word under way, in a list linked both ways.
type part struct {
	id         int32
	prev, next int32 // indices of parts; -1 at the ends
}

// candidate is a pair that can be merged: the part at and the one after it, as
// they were when it was found.
type candidate struct {
	rank, at    int32
	left, right int32
	id          int32
}

// before orders candidates by rank and then from left to right.
func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// run is the tokens of a word; they are overwritten by the next run. Always the
// pair of lowest rank is merged, the leftmost of equals. A heap keeps that
// n log n where a word is a megabyte of one letter.
func (m *merger) run(t *Tokenizer, w string) []int32 {
	m.parts, m.heap, m.ids = m.parts[:0], m.heap[:0], m.ids[:0]
	if t.ignoreMerges {
		if id, ok := t.tokens[standIn(w)]; ok {
			return append(m.ids, id)
		}
	}
	for i := range len(w) {
		m.parts = append(m.parts, part{t.bytes[w[i]], int32(i) - 1, int32(i) + 1})
	}
	m.parts[len(w)-1].next = -1
	for i := range int32(len(w)) {
		m.offer(t, i)
	}
	for len(m.heap) > 0 {
		m.apply(t, m.pop())
	}
	for at := int32(0); at >= 0; at = m.parts[at].next {
		m.ids = append(m.ids, m.parts[at].id)
	}
	return m.ids
}

// offer makes a candidate of the part at and its successor if they merge.
func (m *merger) offer(t *Tokenizer, at int32) {
	if at < 0 || m.parts[at].next < 0 {
		return
	}
	left, right := m.parts[at].id, m.parts[m.parts[at].next].id
	if hit, ok := t.merges[pair(left, right)]; ok {
		m.push(candidate{hit.rank, at, left, right, hit.id})
	}
}

// gone marks a part that was merged into the one before it.
const gone = -1

// apply merges c unless one of its parts has changed since.
func (m *merger) apply(t *Tokenizer, c candidate) {
	left := &m.parts[c.at]
	if left.id != c.left || left.next < 0 || m.parts[left.next].id != c.right {
		return
	}
	right := &m.parts[left.next]
	left.id, left.next, right.id = c.id, right.next, gone
	if left.next >= 0 {
		m.parts[left.next].prev = c.at
	}
	m.offer(t, left.prev)
	m.offer(t, c.at)
}

func (m *merger) push(c candidate) {
	m.heap = append(m.heap, c)
	i := len(m.heap) - 1
	for i > 0 && c.before(m.heap[(i-1)/2]) {
		m.heap[i] = m.heap[(i-1)/2]
		i = (i - 1) / 2
	}
	m.heap[i] = c
}

func (m *merger) pop() candidate {
	top, last := m.heap[0], m.heap[len(m.heap)-1]
	m.heap = m.heap[:len(m.heap)-1]
	n, i := len(m.heap), 0
	for 2*i+1 < n {
		child := 2*i + 1
		if child+1 < n && m.heap[child+1].before(m.heap[child]) {
			child++
		}
		if !m.heap[child].before(last) {
			break
		}
		m.heap[i] = m.heap[child]
		i = child
	}
	if n > 0 {
		m.heap[i] = last
	}
	return top
}
