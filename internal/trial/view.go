package trial

import (
	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/progress"
)

// View is how far a trial is.
type View struct {
	Done, Total int        // turns
	Turn        bench.Turn // the one that runs
	Running     bool
	Systems     []string
	Cases       []bench.Case
	Samples     []bench.Sample // so far; not to be changed
}

// Board is a counter that shows more than a count: a table that fills.
type Board interface {
	progress.Counter
	Show(v View)
}

// show gives a board its view.
func (t *Trial) show(p progress.Counter, v View) {
	board, ok := p.(Board)
	if !ok {
		return
	}
	v.Cases, v.Samples = t.Cases, t.out.Samples
	for _, s := range t.Systems {
		v.Systems = append(v.Systems, s.Name)
	}
	board.Show(v)
}
