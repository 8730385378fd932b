package calib

// Merge joins the observations of all parts of one plan, in any order: the
// result is that of one job, but for rounding of the moments. Parts of another
// model, text, plan or set of tensors, a part that is there twice, one that was
// not run to its end, and missing parts are errors that name them, all at once.
func Merge(parts []*Observations) (*Observations, error) { panic("soon") }
