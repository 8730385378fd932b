package calib

import "io"

// ObservationsVersion is the version of the observations file that this program
// writes and the newest that it reads.
const ObservationsVersion = 1

const observationsKind = "observations"

// ReadObservations reads an observations file; path names it in errors, which are
// of class input.
func ReadObservations(r io.Reader, path string) (*Observations, error) { panic("soon") }

// ReadObservationsFile reads the observations at path.
func ReadObservationsFile(path string) (*Observations, error) { panic("soon") }

// WriteFile writes the observations, whole or not at all.
func (o *Observations) WriteFile(path string) error { panic("soon") }
