package doctor

import "context"

// Answer is the GPUs of the machine; a driver that does not answer within a second,
// or is not there, is an error.
func (m Machine) Answer(ctx context.Context) ([]GPU, error) {
	_, found, err := askGPUs(ctx, m)
	return found, err
}
