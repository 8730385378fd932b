package report

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/testenv"
)

var pages = flag.String("pages", "", "keep the pages that the browser opens in this `directory`, to look at")

// chromium is the browser; the test is skipped by name where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testenv.Lacking(t, "chromium", "chromium is not installed: the pages were not opened")
	return ""
}

// probe is put into a copy of a page: it writes into the document what only a
// browser knows, and opens every part that a reader may open.
const probe = `<script>
addEventListener("load", () => {
  for (const d of document.querySelectorAll("details")) d.open = true;
  const wide = [], room = document.documentElement.clientWidth;
  for (const e of document.querySelectorAll("body *")) {
    const r = e.getBoundingClientRect();
    if (e.closest(".scroll, .unseen, .skip, defs, title, desc") || r.width === 0) continue;
    if (r.right > room + 1 || r.left < -1) wide.push(e.tagName + "." + (e.getAttribute("class") || "") + " " + (e.textContent || "").trim().slice(0, 40));
  }
  let empty = 0, shown = 0;
  for (const f of document.querySelectorAll("figure")) {
    const seen = [...f.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().width > 50 && s.getBoundingClientRect().height > 20);
    if (seen.length) shown++; else empty++;
  }
  const out = document.createElement("div");
  out.id = "probe";
  out.dataset.scroll = document.documentElement.scrollWidth;
  out.dataset.room = room;
  out.dataset.wide = [...new Set(wide)].slice(0, 6).join(" | ");
  out.dataset.shown = shown;
  out.dataset.empty = empty;
  document.body.append(out);
});
</script>`

// What a browser makes of the pages, at the widths of a phone and of a desktop: no
// part is wider than the window, every picture is seen, nothing is said on the
// console, no file is asked for.
func TestBrowser(t *testing.T) {
	browser := chromium(t)
	dir := *pages
	if dir == "" {
		dir = t.TempDir()
	}
	for name, d := range map[string]Data{"sample": sample(), "stress": stress(), "scaling": scaling(t), "bare": {Title: "bare", Rows: sample().Rows}} {
		var b bytes.Buffer
		if err := HTML(&b, d); err != nil {
			t.Fatal(err)
		}
		page := filepath.Join(dir, name+".html")
		probed := filepath.Join(t.TempDir(), name+"-probed.html")
		for path, text := range map[string]string{page: b.String(), probed: strings.Replace(b.String(), "</body>", probe+"</body>", 1)} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		figures := strings.Count(b.String(), "<figure")
		for _, width := range []string{"390", "1280"} {
			t.Run(name+" "+width, func(t *testing.T) {
				t.Parallel()
				got := open(t, browser, probed, width)
				if got["scroll"] != got["room"] || got["wide"] != "" {
					t.Errorf("the page is %s wide in a window of %s: %s", got["scroll"], got["room"], got["wide"])
				}
				if got["empty"] != "0" || got["shown"] == "" {
					t.Errorf("of %d pictures %s are seen and %s are not", figures, got["shown"], got["empty"])
				}
			})
		}
	}
}

// open has the browser load a page, and gives what the probe wrote. The frame is
// as wide as asked: a headless window is never as narrow as a phone.
func open(t *testing.T, browser, page, width string) map[string]string {
	t.Helper()
	frame := filepath.Join(t.TempDir(), "frame.html")
	text := `<!DOCTYPE html><iframe id="f" src="` + page + `" style="border:0;width:` + width + `px;height:900px"></iframe><script>
addEventListener("load", () => { const p = document.getElementById("f").contentDocument.getElementById("probe"); document.body.append(p ? document.importNode(p) : "no probe"); });
</script>`
	if err := os.WriteFile(frame, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--user-data-dir="+t.TempDir(), "--allow-file-access-from-files", "--window-size=1400,1000", "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", "file://"+frame)
	var out, log bytes.Buffer
	c.Stdout, c.Stderr = &out, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(2*time.Minute, func() { _ = c.Process.Kill() })
	defer stop.Stop()
	if err := c.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, log.String())
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "CONSOLE") {
			t.Errorf("on the console: %s", line)
		}
	}
	at := strings.Index(out.String(), `id="probe"`)
	if at < 0 {
		t.Fatalf("the page did not answer:\n%.600s", out.String())
	}
	tag, _, _ := strings.Cut(out.String()[at:], ">")
	got := map[string]string{}
	for _, key := range []string{"scroll", "room", "wide", "shown", "empty"} {
		_, rest, _ := strings.Cut(tag, `data-`+key+`="`)
		got[key], _, _ = strings.Cut(rest, `"`)
	}
	return got
}
