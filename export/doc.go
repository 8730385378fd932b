// Package export turns a checkpoint into an ONNX model, natively: no Python, no
// tracing, and no weight is ever in memory as a whole.
//
// [GPT2] reads a Hugging Face GPT-2 directory (config.json and
// model.safetensors, sharded or not, in F32, F16 or BF16) and builds one float32
// graph that serves prefill and decode. With B, S, P for batch, sequence and
// past length, H heads of D and vocabulary V:
//
//	input_ids                  int64 [B, S]
//	attention_mask             int64 [B, P+S]     0 = padding
//	position_ids               int64 [B, S]
//	past_key_values.{i}.key    float [B, H, P, D]  likewise .value
//	logits                     float [B, S, V]     [B, 1, V] with Logits: Last
//	present.{i}.key            float [B, H, P+S, D] likewise .value
//
// With Cache: Static and a buffer of C columns, new keys and values are written
// into the past where cache_position says, and the graph has
//
//	attention_mask             int64 [B, C]       1 = written, or being written, and no padding
//	cache_position             int64 [S]          columns of the new tokens, the same in all rows
//	past_key_values.{i}.key    float [B, H, C, D]  likewise .value
//	present.{i}.key            float [B, H, C, D]  likewise .value
//
// and all else as above. Column j is open to new token i where the mask is 1 and
// j <= cache_position[i]. Every step then has the same shapes; each of them costs
// attention over the whole buffer, and keys and values take the memory of all C
// columns from the first token on.
//
// [Write] and [WriteVariants] put it on disk, and [Random] writes a checkpoint of random weights
// of any shape, for tests and for the scaling family.
//
// Weights are checked and converted while they stream: a NaN or an infinity
// stops the writing with the tensor's name. What a config asks for and this
// package does not build is refused by name, everything at once.
//
// Not here: other architectures, tokenizers, half precision and quantization
// (package quant).
package export
