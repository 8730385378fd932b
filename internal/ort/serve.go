package ort

import (
	"os"

	"github.com/trtforge/trtforge/internal/child"
)

// Serve is the child's main: it loads the library that LibraryEnv names and
// serves jobs until the parent goes. The result is the exit status.
func Serve(jobs map[string]child.Job) int {
	return child.Server{
		Name: "ort",
		Jobs: jobs,
		Prepare: func() (any, error) {
			if err := Init(os.Getenv(LibraryEnv)); err != nil {
				return nil, err
			}
			return Facts{Version: Version(), Threads: Threads(), CPU: CPU()}, nil
		},
	}.Run()
}
