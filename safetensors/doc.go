// Package safetensors reads and writes safetensors files, the format in which
// checkpoints are published: a u64 header length, a JSON header, the tensors'
// bytes.
//
// A file is untrusted. [Open] reads the header only, refuses one of more than
// [MaxHeader] bytes, and checks what the format promises: known types, lengths
// that follow from the shapes, ranges that lie inside the file and neither
// overlap nor leave holes. Tensors are then read by offset, so a reader's
// memory does not depend on the file's size.
//
//	f, err := safetensors.Open("model.safetensors")
//	defer f.Close()
//	info, ok := f.Tensor("wte.weight")
//	r := io.NewSectionReader(f, info.Offset, info.Length)
//
// It does not interpret values and knows no sub-byte types.
package safetensors
