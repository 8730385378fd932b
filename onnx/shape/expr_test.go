package shape

import (
	"math/rand/v2"
	"testing"
)

// formula is an expression and what it is at some sizes of its symbols.
type formula struct {
	e expr
	n int64
}

// Whatever is computed with expressions is what comes out of computing with the
// symbols' sizes, unless it is not known; and it reads as it prints.
func TestExprs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	known := 0
	for range 2000 {
		all := []formula{{constant(0), 0}, {constant(3), 3}, {constant(-2), -2}}
		for _, name := range []string{"batch", "past", "seq", "odd name"} {
			all = append(all, formula{symbol(name), r.Int64N(7)})
		}
		pick := func() formula { return all[r.IntN(len(all))] }
		for range 12 {
			a, b := pick(), pick()
			var x formula
			switch r.IntN(6) {
			case 0:
				x = formula{a.e.plus(b.e), a.n + b.n}
			case 1:
				x = formula{a.e.minus(b.e), a.n - b.n}
			case 2:
				if a.n > 1000 || b.n > 1000 || a.n < -1000 || b.n < -1000 {
					continue
				}
				x = formula{a.e.times(b.e), a.n * b.n}
			case 3:
				if a.n < 0 {
					continue
				}
				x = formula{a.e.least(2), min(a.n, 2)}
			case 4:
				x = formula{a.e.orZero(), max(a.n, 0)}
			case 5:
				if b.n == 0 {
					continue
				}
				x = formula{a.e.times(b.e).over(b.e), a.n}
			}
			if !x.e.known {
				continue
			}
			known++
			if n, ok := x.e.value(); ok && n != x.n {
				t.Fatalf("%s and %s make %s, want %d", a.e, b.e, x.e, x.n)
			}
			if x.e.atLeast(1) && x.n < 1 {
				t.Fatalf("%s is not at least 1 where it is %d", x.e, x.n)
			}
			for _, o := range all {
				if o.e.equal(x.e) != (o.e.String() == x.e.String()) || o.e.equal(x.e) && o.n != x.n {
					t.Fatalf("%s (%d) and %s (%d)", o.e, o.n, x.e, x.n)
				}
			}
			if again := parseExpr(x.e.String()); again.String() != x.e.String() {
				t.Fatalf("%s reads as %s", x.e, again)
			}
			all = append(all, x)
		}
	}
	if known < 10000 {
		t.Errorf("only %d expressions are known", known)
	}
}

func TestParseExpr(t *testing.T) {
	for in, want := range map[string]string{
		"past + seq": "past + seq", "seq+past": "past + seq", "2 * b": "2*b", "s - 1": "s - 1", "-1 + s": "s - 1",
		"s - s": "0", "7": "7", "a*b - a*b + c": "c", "min(1, s) + s": "min(1, s) + s", "b*(s)": "b*(s)",
		"unk__12": "unk__12", "a//2": "a//2", "a + ": "a + ", "+": "+", "größe": "größe", "9999999999999999999": "9999999999999999999",
	} {
		if got := parseExpr(in).String(); got != want {
			t.Errorf("%q reads as %q, want %q", in, got, want)
		}
	}
}

// However often a file adds and multiplies, expressions stay small.
func TestExprsAreBounded(t *testing.T) {
	e := symbol("a").plus(constant(1))
	for i := range 100 {
		e = e.times(e.plus(symbol(string(rune('b' + i)))))
	}
	if e.known {
		t.Errorf("%d terms", len(e.terms))
	}
	big := constant(1 << 62)
	if s := big.plus(big); s.known {
		t.Errorf("2^63 is %s", s)
	}
	if s := big.times(constant(2)); s.known {
		t.Errorf("2^63 is %s", s)
	}
}
