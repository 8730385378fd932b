// Package pipeline takes a checkpoint to verified engines: one file, one command.
//
// A pipeline file ([Config], TOML) names a model, a workload, texts, engines and
// gates. [Run] turns it into stages,
//
//	export → contract → profiles → calibrate → quantize → engines → reference → validate → bench → report
//
// each of which reads files, writes a directory and leaves a sidecar with a key
// over all that its output depends on. A stage whose key and files still hold is
// not run again, so a run resumes where a kill, a Ctrl-C or a full disk ended it,
// and a second run only verifies. [Plan] says what would run and why.
//
// What a stage does is in task and the rooms below it; this one knows the order of
// the stages, what each depends on, and the runtimes they share. It never runs two
// heavy jobs at once: they would disturb each other's figures.
package pipeline
