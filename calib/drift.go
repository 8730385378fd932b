package calib

// Drift is how a table differs from the one that is committed.
type Drift struct {
	Limit   float64       // percent
	Other   []string      // what else differs (model, method, …), a sentence each
	Missing []string      // tensors of the committed table that the new one lacks
	New     []string      // tensors that only the new one has
	Tensors []TensorDrift // of both, by name
}

// TensorDrift is how the amax of a tensor moved.
type TensorDrift struct {
	Tensor  string
	Was, Is float32
	Ratio   float64 // Is / Was
	Exceeds bool    // it moved by more than the limit
}

// Check compares a table with the committed one. limit is in percent.
func Check(committed, now *Table, limit float64) *Drift { panic("soon") }

// Err is nil where nothing differs by more than the limit, and otherwise an
// error of class gate that holds all findings.
func (d *Drift) Err() error { panic("soon") }
