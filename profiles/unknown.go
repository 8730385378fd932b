package profiles

import "math"

// Unknown stands for a size that a source of profiles does not tell: ONNX Runtime
// keeps the dynamic dimensions of an engine's profiles only. It is a number that no
// dimension and no sensible value of a shape tensor has, and small enough to be
// added to without wrapping around.
const Unknown = math.MinInt32
