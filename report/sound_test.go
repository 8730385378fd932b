package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// rendered are the pages that every check is made on.
func rendered(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for name, d := range map[string]Data{"sample": sample(), "stress": stress(), "scaling": scaling(t), "empty": {}} {
		var b bytes.Buffer
		if err := HTML(&b, d); err != nil {
			t.Fatal(err)
		}
		pages[name] = b.String()
	}
	return pages
}

// void are the elements that HTML does not close.
var void = regexp.MustCompile(`<meta([^>]*)>`)

// Every element is closed in its turn, every table has a caption and headed columns,
// every picture a title and a description, there is one h1 and no heading before
// its parent.
func TestPageIsWellFormedAndAccessible(t *testing.T) {
	for name, text := range rendered(t) {
		d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(text, "<meta$1/>"))) // it is as strict as one would be
		d.Entity = xml.HTMLEntity
		count := map[string]int{}
		level := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: not well-formed: %v", name, err)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			tag := e.Name.Local
			count[tag]++
			attr := map[string]string{}
			for _, a := range e.Attr {
				attr[a.Name.Local] = a.Value
			}
			switch {
			case tag == "th" && attr["scope"] == "":
				t.Errorf("%s: a th without a scope", name)
			case tag == "svg" && (attr["role"] != "img" || attr["aria-labelledby"] == ""):
				t.Errorf("%s: a picture without a name", name)
			case tag == "div" && attr["class"] == "scroll" && (attr["tabindex"] != "0" || attr["aria-label"] == ""):
				t.Errorf("%s: a region that scrolls and that no key reaches", name)
			case len(tag) == 2 && tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6':
				if now := int(tag[1] - '0'); now > level+1 {
					t.Errorf("%s: an h%d follows an h%d", name, now, level)
				} else {
					level = now
				}
			}
			for key, v := range attr {
				if (key == "src" || key == "href") && !strings.HasPrefix(v, "#") {
					t.Errorf("%s: %s=%q leads out of the page", name, key, v)
				}
			}
		}
		if count["table"] != count["caption"] {
			t.Errorf("%s: %d tables and %d captions", name, count["table"], count["caption"])
		}
		if count["h1"] != 1 || count["main"] != 1 || count["script"]+count["link"]+count["img"]+count["iframe"] > 0 {
			t.Errorf("%s: %v", name, count)
		}
		if strings.Contains(text, "url(") || strings.Contains(text, "@import") {
			t.Errorf("%s: the style asks for a file", name)
		}
	}
}

var variable = regexp.MustCompile(`--([a-z0-9]+): #([0-9a-f]{6})`)

// What is read stands out from the page by WCAG's 4.5 to 1, in light and in dark;
// what is only seen by 3 to 1.
func TestContrast(t *testing.T) {
	style, err := os.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(style), "@media screen and (prefers-color-scheme: dark)")
	dark, _, _ = strings.Cut(dark, "* {")
	light, _, _ = strings.Cut(light, "* {")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colour := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			colour[m[1]] = m[2]
		}
		for least, names := range map[float64][]string{4.5: {"ink", "muted", "pass", "fail", "fp32", "fp16", "int8", "other", "p0", "p1", "p3"}, 3: {"p2", "idle"}} {
			for _, name := range names {
				if got := contrast(t, colour[name], colour["page"]); got < least {
					t.Errorf("%s: %s has a contrast of %.2f to the page, want %g", scheme, name, got, least)
				}
			}
		}
	}
}

// contrast is WCAG 2's ratio of two colours in hexadecimal.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(hex string) float64 {
		var c [3]int
		if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
			t.Fatalf("colour %q: %v", hex, err)
		}
		sum := 0.0
		for i, w := range []float64{0.2126, 0.7152, 0.0722} {
			v := float64(c[i]) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += w * v
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}
