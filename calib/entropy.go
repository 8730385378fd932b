package calib

func (h *Histogram) leastDivergence() float32 { panic("soon") }
