// Package trial measures several engines against each other, in turns.
//
// Each system has a process of its own, which keeps its engine open and is halted
// while another one is measured. Turns come in the order of [bench.Order], each with
// a warm-up of its own; what happened to the machine meanwhile (throttling, a quota,
// other processes) is noted on the samples:
//
//	t := trial.Trial{Systems: systems, Cases: cases, Repetitions: 10, Dir: "results"}
//	outcome, err := t.Run(ctx, counter)
//
// A turn that fails is a sample with a class: a process that died or hung is started
// again and the others go on. Samples are appended to Dir turn by turn, so that the
// same trial goes on where it was killed; another one is refused there. With Until,
// turns go on until the interval of every median is narrow enough.
//
// It measures nothing itself (internal/jobs, in the processes) and draws no
// conclusions (stats, gate).
package trial
