// Package worker starts the Python programs that trtforge cannot do without:
// PyTorch as the reference of every comparison, and NVIDIA's TensorRT-RTX
// builder, which has no other interface on a machine without a GPU.
//
//	c, err := worker.Start(ctx, worker.Reference, worker.Options{Python: interpreter})
//	defer c.Close()
//	result, err := worker.Bundle(ctx, c, worker.BundleRequest{...}, counter)
//
// The programs are embedded (py/) and written into the user's cache under their
// digest, so that a worker is always of the same version as the binary. They
// speak the wire of internal/child through py/wire.py; package child supervises
// them. A worker writes only into the directory that a request names; making the
// result visible under its final name is the caller's.
//
// It installs no Python environments (internal/runtimes).
package worker
