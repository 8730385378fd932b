// Package bench measures how fast a decoder is and says how sure it is.
//
// [Measure] times one request: a prompt, then tokens one by one. [Order] spreads
// engines and scenarios over rounds, so that drift of the machine does not favour
// who came first. [Rows] turns the samples of all rounds into rows:
//
//	for _, turn := range bench.Order(seed, engines, scenarios, rounds) {
//		samples = append(samples, …) // a child process measures the turn
//	}
//	all := bench.Rows(samples)
//
// Words: TTFT runs from the prompt's submission to the first token id on the
// host; TPOT = (E2E - TTFT)/(n - 1) for n new tokens; prefill tokens per second
// are batch x prompt / TTFT, decode tokens per second batch / TPOT. Centres are
// medians, their 95 % intervals distribution-free (order statistics, by
// golang.org/x/perf/benchmath). A failed request is a row with a class and never
// enters a figure. Doubts (few samples, large spread) are warnings on the row.
//
// It starts no process (internal/jobs) and judges nothing (gate).
package bench
