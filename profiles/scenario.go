package profiles

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
)

var scenarioText = regexp.MustCompile(`^(?:([^=]{1,200})=)?(?:([0-9]{1,30})x)?([0-9]{1,30})\+([0-9]{1,30})(?:@(.{1,40}))?$`)

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
	for i, to := range []*int{&s.Batch, &s.PromptTokens, &s.NewTokens} {
		text := m[2+i]
		if *to, _ = strconv.Atoi(text); *to > maxTokens { // digits only; none are 0
			return bad(fmt.Sprintf("%s is more than the limit of %d", text, maxTokens))
		}
	}
	if m[2] != "" && s.Batch == 0 {
		return bad("a batch of 0")
	}
	if m[5] != "" {
		w, err := strconv.ParseFloat(m[5], 64)
		if err != nil || !(w > 0) || math.IsInf(w, 0) {
			return bad(fmt.Sprintf("weight %q is no finite number above 0", m[5]))
		}
		s.Weight = w
	}
	return s, nil
}
