// Package child runs native code in processes of its own and survives them.
//
// ONNX Runtime and the Python builders may crash, hang or eat all memory. So
// each runs in a child process that takes whole jobs over a pipe, and whatever
// becomes of it, the parent gets a result or an error that says which job died
// of what.
//
//	c, err := child.Start(ctx, child.Spec{Name: "ort", Path: exe, Args: []string{"__ort"}})
//	defer c.Close()
//	err = c.Call(ctx, "score", request, &result, counter)
//
// The other end, in Go, is [Serve] with a map of jobs; in Python, the file
// wire.py of internal/worker.
//
// # The wire
//
// Control frames are a little-endian u32 length and JSON, at most [MaxFrame]
// bytes, from the parent to the child's stdin and from the child's original
// stdout to the parent; the child points descriptor 1 itself at stderr, so that
// no library's print damages a frame. Tensors follow the frame that announces
// them as u32 length + chunk, at most [MaxChunk] bytes each, on descriptor 3, a
// socket pair that serves both directions. The child sends hello, then ready,
// a heartbeat every 2 s even while native code runs, and for each job progress
// frames and one result or error.
//
// # Supervision
//
// A child leads its own process group. It is told to end with SIGTERM and 5 s
// later with SIGKILL, the whole group each time, when it is silent for 30 s,
// does not get ready within 60 s, exceeds the time of a job or the memory of
// its process tree (sampled every 500 ms), breaks the framing, or when the
// context of a call is cancelled; for its memory with SIGKILL at once, since in
// 5 s it could take the machine with it. It exits by itself as soon as stdin ends, so
// that it does not outlive a parent killed by SIGKILL. One that its parent halts
// ([Child.Stop]) is not expected to be heard of; the kernel wakes it when its parent
// is gone.
//
// One job runs at a time; this package neither restarts children nor pools
// them (internal/ort does) and knows nothing of what a job means.
package child
