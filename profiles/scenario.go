package profiles

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
)

var scenarioText = regexp.MustCompile(`^(?:([^=]{1,200})=)?(?:([0-9]{1,7})x)?([0-9]{1,7})\+([0-9]{1,7})(?:@([0-9.]{1,20}))?$`)

// ParseScenario reads NAME=BATCHxPROMPT+NEW@WEIGHT, as in chat=4x27+8@2. Without
// a name it is called by its text; without a batch it has every batch size of the
// workload; without a weight it weighs 1. Other text is an error of class usage.
func ParseScenario(text string) (Scenario, error) {
	bad := func(cause string) (Scenario, error) {
		return Scenario{}, fault.New(fault.Usage, "reading scenario", strconv.Quote(clip(text)), cause, "want NAME=BATCHxPROMPT+NEW, such as chat=4x27+8")
	}
	m := scenarioText.FindStringSubmatch(text)
	if m == nil {
		return bad("it is not batch, prompt tokens and new tokens")
	}
	s := Scenario{Name: m[1], Weight: 1}
	if s.Name == "" {
		s.Name = text
	}
	s.Batch, _ = strconv.Atoi(m[2]) // seven digits at most; none are 0
	s.PromptTokens, _ = strconv.Atoi(m[3])
	s.NewTokens, _ = strconv.Atoi(m[4])
	if m[2] != "" && s.Batch == 0 {
		return bad("a batch of 0")
	}
	if m[5] != "" {
		w, err := strconv.ParseFloat(m[5], 64)
		if err != nil || w <= 0 {
			return bad(fmt.Sprintf("%s is no weight", m[5]))
		}
		s.Weight = w
	}
	return s, nil
}
