package annotation

import (
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	for _, v := range []struct {
		level                      Level
		file, title, message, want string
	}{
		{Error, "plan.json", "TF301", "a: b, c", "::error file=plan.json,title=TF301::a: b, c\n"},
		{Warning, "a,b:c.json", "", "50 %\nnext\r", "::warning file=a%2Cb%3Ac.json::50 %25%0Anext%0D\n"},
		{Notice, "", "", "::error::not a command", "::notice::::error::not a command\n"},
	} {
		var b strings.Builder
		if err := Write(&b, v.level, v.file, v.title, v.message); err != nil || b.String() != v.want {
			t.Errorf("%q, %v; want %q", b.String(), err, v.want)
		}
	}
}
