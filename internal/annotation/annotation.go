// Package annotation writes the workflow commands by which GitHub shows a message
// beside a file:
//
//	annotation.Write(w, annotation.Error, "plan.json", "TF301", "the mask is 40, past 31 and sequence 1 make 32")
//
// prints ::error file=plan.json,title=TF301::the mask ... . GitHub keeps ten of
// each level a step, so what matters most comes first.
package annotation

import (
	"fmt"
	"io"
	"strings"
)

// Level is how GitHub shows a message.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Notice  Level = "notice"
)

// Write writes one annotation as a line. file may be empty.
func Write(w io.Writer, level Level, file, title, message string) error {
	var properties []string
	if file != "" {
		properties = append(properties, "file="+property.Replace(file))
	}
	if title != "" {
		properties = append(properties, "title="+property.Replace(title))
	}
	head := string(level)
	if len(properties) > 0 {
		head += " " + strings.Join(properties, ",")
	}
	_, err := fmt.Fprintf(w, "::%s::%s\n", head, data.Replace(message))
	return err
}

// GitHub's own escapes (actions/toolkit, core/src/command.ts): a line break
// would end the command, and in a property a colon or a comma would.
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
