// Package bpe turns text into token ids with the byte-level BPE of GPT-2 and
// of the models that took it over.
//
//	t, err := bpe.Load(dir) // tokenizer.json, or vocab.json and merges.txt
//	ids, err := t.Encode(text)
//
// Ids are those of the tokenizers library's encode(text, add_special_tokens =
// False) for the same files: special tokens written out in the text become their
// ids, nothing is put before or after the text, and truncation and padding
// settings, which concern batches, are not applied. A tokenizer with a
// part that this package does not reproduce exactly (a normaliser, another
// pattern, WordPiece, byte fallback) is refused by the name of that part.
//
// Letters and numbers are those of Unicode 16, as in the tokenizers library
// 0.23; a text with characters of a newer Unicode may be cut differently there.
package bpe
