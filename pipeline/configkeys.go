package pipeline

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/internal/fault"
)

var (
	tableLine = regexp.MustCompile(`^\s*\[\[?\s*([^\]]+?)\s*\]`)
	valueLine = regexp.MustCompile(`^\s*([^#=\[]+?)\s*=`)
)

// unknownKeys names the lines of keys that no table has. The TOML library
// keeps positions to itself, so the first line with such a key is searched for;
// a key of an inline table is not found and has the file's name only.
func unknownKeys(path string, text []byte, keys []toml.Key) []error {
	if len(keys) == 0 {
		return nil
	}
	lines := keyLines(string(text))
	var errs []error
	for _, key := range keys {
		at := path
		if line, found := lines[strings.Join(key, ".")]; found {
			at = fmt.Sprintf("%s:%d", path, line)
		}
		errs = append(errs, fault.New(fault.Usage, "reading pipeline", at, fmt.Sprintf("unknown key %q", key), "remove it; `trtforge run --help` shows every key"))
	}
	return errs
}

// keyLines is the first line of each table and key, by its full name.
func keyLines(text string) map[string]int {
	lines, table := map[string]int{}, ""
	for i, line := range strings.Split(text, "\n") {
		full := ""
		if m := tableLine.FindStringSubmatch(line); m != nil {
			table = plainKey(m[1])
			full = table
		} else if m := valueLine.FindStringSubmatch(line); m != nil {
			full = strings.TrimPrefix(table+"."+plainKey(m[1]), ".")
		}
		if _, known := lines[full]; !known {
			lines[full] = i + 1
		}
	}
	return lines
}

// plainKey is a dotted key without quotes and blanks.
func plainKey(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}
