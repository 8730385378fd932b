package explain

import (
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// Context is what is known beside the log. Every field may be missing; what is
// there turns a cause into a correction.
type Context struct {
	Contract *contract.Contract // what the graph's inputs mean
	Profiles []profiles.Profile // those that the engine was to have
	Demand   []profiles.Shape   // what will be asked; counted against the correction

	// Log names the log in errors.
	Log string
	// Syntax is how the correction is written, one of profiles/syntax. "" takes
	// what the log's tool reads.
	Syntax string
}
