package profiles

import (
	"math"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestDrawLengths(t *testing.T) {
	var first, again [][2]int
	for _, to := range []*[][2]int{&first, &again} {
		if err := DrawLengths("hist:4=3,8=1 + uniform:1..3", 4000, 7, 10, func(p, f int) { *to = append(*to, [2]int{p, f}) }); err != nil {
			t.Fatal(err)
		}
	}
	four := 0
	for i, r := range first {
		if r != again[i] {
			t.Fatal("the same seed drew other lengths")
		}
		if r[0] == 4 {
			four++
		}
		if r[0] != 4 && r[0] != 8 || r[1] < 1 || r[1] > 3 || r[0]+r[1]-1 > 10 {
			t.Fatalf("drew %v", r)
		}
	}
	// Every pair fits into 10 positions: 8 + 3 reaches the tenth.
	if share := float64(four) / float64(len(first)); math.Abs(share-0.75) > 0.04 {
		t.Errorf("prompts of 4 are %.3f of all, want 0.75", share)
	}
	for _, text := range []string{"4", "x+1", "1..+1"} {
		if err := DrawLengths(text, 1, 1, 0, nil); fault.Classify(err) != fault.Usage || err == nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
