// Package validate compares what an engine predicts for a text with what
// PyTorch predicted in FP32.
//
// The reference is a [Bundle]: for every scored token its negative log
// likelihood (NLL), the logarithm of the sum of exponentials of the logits, the
// K most likely tokens with their log-probabilities and the mass of all others.
// PyTorch writes it (internal/worker) in the same run or once for all; [Read]
// checks it and [Bundle.Verify] holds it to the model, text and tokenizer that
// are in hand.
//
// An engine's logits go row by row into an [Accumulator], so a text of any
// length needs the memory of a few windows, and come out as a [Score]: one
// for the prefill path and one for the cached-decode path, since an error in
// the KV cache shows in the second only. [Compare] makes rows of both:
//
//	windows := convention.Windows(ids)
//	acc, err := validate.NewAccumulator(windows, bundle, "decode")
//	err = acc.Add(w, t, logits) // logits after windows[w].IDs[:t+1]
//	score, err := acc.Score()
//	rows, err := validate.Compare(bundle, score, validate.Options{Engine: "ortcpu-int8"})
//
// Perplexities of different conventions are not comparable, so a convention has
// a name that is kept with every figure. KL from a bundle is a lower bound and
// is named after K ("kl_top64"); the full KL needs the live reference.
//
// It runs no model (lm, internal/worker) and sets no limits (gate).
package validate
