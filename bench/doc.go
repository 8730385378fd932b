// Package bench measures how fast a decoder is and says how sure it is.
//
// A [Timer] times requests of a [Case]: a prompt, then tokens one by one. [Order]
// spreads engines, cases and repetitions over turns, so that drift of the machine
// does not favour who came first. [Rows] turns the samples of all turns into rows:
//
//	for _, turn := range bench.Order(seed, engines, len(cases), bench.Share(10, 5)) {
//		samples = append(samples, …) // a child process measures the turn
//	}
//	all := bench.Rows(samples)
//
// Words: TTFT runs from the prompt's submission to the first token id on the
// host; TPOT = (E2E - TTFT)/(n - 1) for n new tokens; prefill tokens per second
// are the prompts' tokens / TTFT, decode tokens per second batch / TPOT. A request
// runs with the cache, without one (the whole sequence again for each token) or
// with its prompt in chunks. Centres are medians, their 95 % intervals
// distribution-free (order statistics, by golang.org/x/perf/benchmath). A failed
// request is a row with a class and never enters a figure. Doubts (few samples,
// large spread, a machine that was throttled) are warnings on the row.
//
// It starts no process (internal/jobs, internal/trial) and judges nothing (gate).
package bench
