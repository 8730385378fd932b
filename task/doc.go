// Package task is what is asked of a model or an engine at once: calibrate it, search
// what of it may be INT8, record its reference, score it, open it to be measured.
//
// Each task is a struct that says what is wanted and a function that does it with the
// processes it is given. A command of trtforge fills the struct from its flags and a
// stage of a pipeline from its file, so that both get the same figures, the same
// refusals and the same words for them.
//
// A task knows no order, no keys and no resuming of many steps (pipeline), no flags
// and no bars (cmd/trtforge); what crosses the pipe to a child is in internal/jobs
// and internal/worker.
package task
