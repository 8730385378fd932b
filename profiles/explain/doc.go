// Package explain reads what TensorRT and the tools around it print and says what
// went wrong: the cause, the line that shows it, and what to do.
//
// A log shows one failure many times: the builder's error, the parser's echo, the
// provider's status, the traceback. [Read] matches each line against patterns,
// takes names, sizes and profile numbers from it, and reduces what it found to the
// root; the rest is named as what followed from it. Where a contract or profiles
// are at hand, [Context] turns the cause into a corrected profile:
//
//	report, err := explain.Read(os.Stdin, explain.Context{Contract: c, Profiles: plan.Profiles})
//	report.Text(os.Stdout)
//
// A pattern is data: one file in patterns/, with its source and an example, see
// README.md. Nothing is invented: a template whose variables the log does not give
// falls back to a wording without them, and a message that no pattern knows is
// said to be unknown.
//
// Memory does not grow with the log: lines, findings and quotes are bounded.
package explain
