// Package report makes of rows, plans and verdicts one page to look at.
//
// [HTML] writes a single self-contained file: no script, no network, inline SVG,
// light or dark as the reader's system asks, readable on a phone and on paper.
// [Markdown] writes the same facts as a short summary for terminals and pull
// requests:
//
//	err := report.HTML(w, report.Data{Title: "demo", Rows: all, Verdicts: verdicts, …})
//
// The verdict comes first, then what it rests on, then where every figure comes
// from. A part without data is left out; what was not evaluated is a part of its
// own. Doubts that rows carry become numbered notes.
//
// It computes no figures (bench, validate) and no verdicts (gate).
package report
