package calib

// Outlier is what makes a tensor hard to quantize, or easy.
type Outlier struct {
	Tensor    string
	Lo, Hi    float32
	Amax      float32    // by the method
	Deviation float64    // standard deviation
	Kurtosis  float64    // 3 for a normal distribution
	Clipped   float64    // share (0 to 1) of values whose magnitude is above Amax
	Dominant  []Dominant // the channels with the greatest magnitudes, greatest first; nil without channels
}

// Dominant is a channel and by how much it exceeds the others.
type Dominant struct {
	Channel int     // index of the last axis
	Absmax  float32 // its greatest magnitude
	Ratio   float64 // Absmax / the median of all channels' that are not always 0
}

// Outliers reports every tensor by name, with its top channels.
func (o *Observations) Outliers(m Method, top int) ([]Outlier, error) { panic("soon") }
