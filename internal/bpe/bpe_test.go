package bpe

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/trtforge/trtforge/internal/fault"
)

var update = flag.Bool("update", false, "write testdata anew from the tokenizers library")

// hostile is texts at which tokenizers part.
func hostile() []string {
	return []string{
		"", " ", "  ", "\n", "\n\n\n", " \n ", "a", " a", "  a", "a ", "a  ", "a \n b", "\t\ta\t",
		"don't DON'T we'll we'LL I'd've 's ' s ''s '' 'tis 're're x'", "they’re “quoted”—dash",
		"1234567890 12 3.14 1,000 ½ ² Ⅷ ٣ 一二", "a1b2 c3", "!!! ??? ... --- ((( )))", "a!b@c#d", "_under_score_",
		"<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", " <|endoftext|> ", "<|endoftext|", "<|end", "<<|endoftext|>",
		"\u00a0nbsp\u00a0 \u2003em \u3000 ideographic", "\u200b\u200d\ufeff zero width", "\u0085next\u2028line\u2029", "\x00\x01\x1f\x7f control",
		"café cafe\u0301 naïve Ærøskøbing", "日本語のテキスト 中文 한국어", "العربية עברית हिन्दी ไทย", "😀 👨‍👩‍👧‍👦 🏳️‍🌈 🇬🇧", "𝕬𝖑𝖕𝖍𝖆 𐍈 𠀀",
		"\U0010ffff\ufffd\ufffe", strings.Repeat("a", 5000), strings.Repeat(" ", 3000) + "x", strings.Repeat("the", 2000), strings.Repeat("\n ", 500),
		"Light Light light  Light\nLight's Rays", "\r\n\r\nwindows\r\n", "mixed\u0301 \u0301combining", "ꟋꟌ\U000105c0 \U00010d40 \U00016d70",
	}
}

const goldenFile = "testdata/demo-hostile.json"

// The ids that the tokenizers library gives for the demo's tokenizer, so that a
// bare clone tests more than itself.
func TestEncodeGolden(t *testing.T) {
	tok, file := demoTokenizer(t)
	if *update {
		b, err := json.Marshal(ask(t, oracle, file, hostile()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]int
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(hostile()) {
		t.Fatalf("%s has %d texts, want %d: run the test with -update", goldenFile, len(want), len(hostile()))
	}
	same(t, tok, hostile(), want)
}

// Both forms of the tokenizer in the demo's directory are one tokenizer.
func TestLoadPair(t *testing.T) {
	tok, file := demoTokenizer(t)
	dir := t.TempDir()
	for _, name := range []string{vocabFile, mergesFile} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	two, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]int
	for _, text := range hostile() {
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, ids)
	}
	same(t, two, hostile(), want)
	if len(tok.pieces) != 2048 || len(two.pieces) != 2048 {
		t.Errorf("vocabularies %d and %d, want 2048", len(tok.pieces), len(two.pieces))
	}
	if got := Files(dir); len(got) != 2 {
		t.Errorf("files %v", got)
	}
}

func TestEncodeRefusesBytesThatAreNotText(t *testing.T) {
	tok, _ := demoTokenizer(t)
	_, err := tok.Encode("good\xffbad")
	if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "byte 4") {
		t.Errorf("%v", err)
	}
	if _, err := tok.Decode([]int{5, 9999}); fault.Classify(err) != fault.Input {
		t.Errorf("decoding an unknown id: %v", err)
	}
	if _, err := tok.Decode([]int{1<<32 + 5}); err == nil {
		t.Error("an id beyond 32 bits was decoded")
	}
}

// A word of a million letters must not take quadratic time.
func TestEncodeOneLongWord(t *testing.T) {
	tok, _ := demoTokenizer(t)
	begin := time.Now()
	if _, err := tok.Encode(strings.Repeat("the", 400_000)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestLoadRefuses(t *testing.T) {
	_, file := demoTokenizer(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	model := func(key string, value any) func(map[string]any) {
		return func(all map[string]any) { all["model"].(map[string]any)[key] = value }
	}
	vocab := func(edit func(v map[string]any)) func(map[string]any) {
		return func(all map[string]any) { edit(all["model"].(map[string]any)["vocab"].(map[string]any)) }
	}
	for _, c := range []struct {
		says string
		edit func(all map[string]any)
	}{
		{"normalizer NFC", func(all map[string]any) { all["normalizer"] = map[string]any{"type": "NFC"} }},
		{`pre_tokenizer "Metaspace"`, func(all map[string]any) { all["pre_tokenizer"] = map[string]any{"type": "Metaspace"} }},
		{"no pre_tokenizer", func(all map[string]any) { all["pre_tokenizer"] = nil }},
		{"use_regex", func(all map[string]any) { all["pre_tokenizer"].(map[string]any)["use_regex"] = false }},
		{"no model", func(all map[string]any) { delete(all, "model") }},
		{`model "WordPiece"`, model("type", "WordPiece")},
		{"dropout", model("dropout", 0.1)},
		{"unk_token", model("unk_token", "<unk>")},
		{"continuing_subword_prefix", model("continuing_subword_prefix", "##")},
		{"end_of_word_suffix", model("end_of_word_suffix", "</w>")},
		{"byte_fallback", model("byte_fallback", true)},
		{"single_word", func(all map[string]any) { all["added_tokens"].([]any)[0].(map[string]any)["lstrip"] = true }},
		{"has the id 7", func(all map[string]any) { all["added_tokens"].([]any)[0].(map[string]any)["id"] = 7 }},
		{"byte 0x41", vocab(func(v map[string]any) { delete(v, "A") })},
		{"which the vocabulary lacks", vocab(func(v map[string]any) { delete(v, "th"); v["zzzz"] = 3000 })},
		{"two tokens", vocab(func(v map[string]any) { v["zzzz"] = 9 })},
		{"has the id -1", vocab(func(v map[string]any) { v["zzzz"] = -1 })},
		{"not a pair", model("merges", []any{"a b c"})},
	} {
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		c.edit(all)
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parse("tokenizer.json", b)
		if err == nil || !strings.Contains(err.Error(), c.says) || fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v", c.says, err)
		}
	}
	if _, err := Load(t.TempDir()); fault.Classify(err) != fault.Input {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := parseMerges("#version: 0.2\na b\nab\n"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("half a merge: %v", err)
	}
}

func FuzzEncode(f *testing.F) {
	for _, text := range hostile() {
		if len(text) < 200 {
			f.Add(text)
		}
	}
	tok, _ := demoTokenizer(f)
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := tok.Encode(text)
		if !utf8.ValidString(text) {
			if err == nil {
				t.Errorf("%q was encoded", text)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if back, err := tok.Decode(ids); err != nil || back != text {
			t.Errorf("%q came back as %q (%v)", text, back, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"}}`))
	f.Add([]byte(`{"model":{"vocab":{"a":99999999999},"merges":[["a"]]},"added_tokens":[{"id":-1,"content":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := parse("f", b)
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Errorf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		if _, err := tok.Encode("some text"); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok, _ := demoTokenizer(b)
	text := strings.Repeat("The Rays of Light which fall upon Bodies, and are reflected or refracted, begin to bend.\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tok.Encode(text); err != nil {
			b.Fatal(err)
		}
	}
}
