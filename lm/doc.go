// Package lm runs a causal language model: a prompt once, then token by token
// with a cache of keys and values.
//
// [NewDecoder] reads from a [contract.Contract] how a graph wants to be fed and
// works on any [Session], so that benchmarks, validation and calibration drive
// every backend through the same few lines:
//
//	d, err := lm.NewDecoder(session, c, lm.Options{Batch: 4, Capacity: 256})
//	err = d.Prepare(64, 32)            // all bindings, before a clock starts
//	logits, err := d.Prefill(prompts)  // [4][64][vocab]
//	logits, err = d.Step(next)         // [4][vocab], 31 times
//
// A graph that concatenates its cache cannot grow it in place: what it writes is
// one token longer than what it reads. So there are two sets of cache buffers,
// used in turn, and one binding per step, since every step has other shapes. A
// graph with a static cache is told which column to write to and has one shape for
// all steps: two bindings, one for each direction, serve them all, and a prefill
// has one for each bucket. Its two sets are as long as the graph's buffer, and
// every step attends over all of it: that is its price. Prompts are padded on the
// left, to their bucket too, so the last position is the last token in every row,
// and padding takes columns of the buffer.
//
// Neither Step nor a Prefill of prepared length allocates in Go.
//
// It samples greedily or not at all, does not tokenize, and keeps no time (bench).
package lm
