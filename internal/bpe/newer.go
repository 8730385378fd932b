package bpe

// newer is the letters and numbers that Unicode 15.1 and 16 added, in order.
// Go's tables are those of Unicode 15.0, the tokenizers library's those of 16;
// found by asking the library about every code point.
var newer = [...]struct {
	lo, hi rune
	class  class
}{
	{0x1c89, 0x1c8a, letter}, {0xa7cb, 0xa7cd, letter}, {0xa7da, 0xa7dc, letter},
	{0x105c0, 0x105f3, letter}, {0x10d40, 0x10d49, number}, {0x10d4a, 0x10d65, letter},
	{0x10d6f, 0x10d85, letter}, {0x10ec2, 0x10ec4, letter}, {0x11380, 0x11389, letter},
	{0x1138b, 0x1138b, letter}, {0x1138e, 0x1138e, letter}, {0x11390, 0x113b5, letter},
	{0x113b7, 0x113b7, letter}, {0x113d1, 0x113d1, letter}, {0x113d3, 0x113d3, letter},
	{0x116d0, 0x116e3, number}, {0x11bc0, 0x11be0, letter}, {0x11bf0, 0x11bf9, number},
	{0x13460, 0x143fa, letter}, {0x16100, 0x1611d, letter}, {0x16130, 0x16139, number},
	{0x16d40, 0x16d6c, letter}, {0x16d70, 0x16d79, number}, {0x18cff, 0x18cff, letter},
	{0x1ccf0, 0x1ccf9, number}, {0x1e5d0, 0x1e5ed, letter}, {0x1e5f0, 0x1e5f0, letter},
	{0x1e5f1, 0x1e5fa, number}, {0x2ebf0, 0x2ee5d, letter},
}

// newerClass is the class of a character that Go's tables do not know.
func newerClass(r rune) class {
	for _, s := range newer {
		if r <= s.hi {
			if r >= s.lo {
				return s.class
			}
			break
		}
	}
	return other
}
