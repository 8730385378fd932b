package ortcuda

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
)

// Choices are what one may ask of the provider.
type Choices struct {
	TF32   bool // FP32 products may round their operands to 10 bits of mantissa
	Device int  // which GPU
}

// ParseChoices reads choices from options of a request; what it does not know is an
// error of class usage.
func ParseChoices(of map[string]string) (c Choices, err error) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		switch name {
		case "tf32":
			c.TF32, err = strconv.ParseBool(of[name])
		case "device":
			if c.Device, err = strconv.Atoi(of[name]); err == nil && c.Device < 0 {
				err = fmt.Errorf("there is no GPU %d", c.Device)
			}
		default:
			return c, fault.New(fault.Usage, "reading option", name, "there is no such option", "choose among tf32 and device")
		}
		if err != nil {
			return c, fault.Wrap(fault.Usage, "reading option", name, err, "tf32 is 0 or 1, device a number")
		}
	}
	return c, nil
}

// Map is the choices as options of a request.
func (c Choices) Map() map[string]string {
	all := map[string]string{"tf32": "0"}
	if c.TF32 {
		all["tf32"] = "1"
	}
	if c.Device > 0 {
		all["device"] = strconv.Itoa(c.Device)
	}
	return all
}

// provider is CUDA as chosen.
func (c Choices) provider() ort.Provider {
	o := map[string]string{"device_id": strconv.Itoa(c.Device), "use_tf32": "0"}
	if c.TF32 {
		o["use_tf32"] = "1"
	}
	return ort.Provider{Name: ort.CUDA, Options: o}
}

// Provider is how an engine of this backend is opened.
func Provider(m *engine.Manifest) (ort.Provider, error) {
	c, err := ParseChoices(engine.OptionsOf(m.Inputs))
	return c.provider(), err
}
