package bpe

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// oracle has the tokenizers library encode texts. It reads from stdin
// {"file", "texts"} and answers with a list of lists of ids.
const oracle = `
import json, sys
from tokenizers import Tokenizer
q = json.load(sys.stdin)
t = Tokenizer.from_file(q["file"])
json.dump([t.encode(x, add_special_tokens=False).ids for x in q["texts"]], sys.stdout)
`

// splitOracle has it cut a text around every code point, and answers with the
// ends of the words in characters.
const splitOracle = `
import json, sys
from tokenizers import pre_tokenizers
p = pre_tokenizers.ByteLevel(add_prefix_space=False)
q = json.load(sys.stdin)
json.dump([[b for _, (a, b) in p.pre_tokenize_str(x)] for x in q["texts"]], sys.stdout)
`

func ask(t *testing.T, script, file string, texts []string) [][]int {
	t.Helper()
	question, err := json.Marshal(map[string]any{"file": file, "texts": texts})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Python(t, "reference"), "-c", script)
	cmd.Stdin = bytes.NewReader(question)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking the tokenizers library: %v", err)
	}
	var answer [][]int
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func demoTokenizer(t testing.TB) (*Tokenizer, string) {
	t.Helper()
	dir := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok, filepath.Join(dir, "tokenizer.json")
}

func same(t *testing.T, tok *Tokenizer, texts []string, want [][]int) {
	t.Helper()
	for i, text := range texts {
		got, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want[i]) {
			at := 0
			for at < min(len(got), len(want[i])) && got[at] == want[i][at] {
				at++
			}
			before, _ := tok.Decode(got[:at])
			t.Errorf("text %d (%.40q): %d ids, want %d; they part after %d ids, %.60q", i, text, len(got), len(want[i]), at, before[max(0, len(before)-60):])
		}
	}
}

func TestEncodeAsTheLibrary(t *testing.T) {
	texts := append(hostile(), string(testenv.DemoText(t, "train")), string(testenv.DemoText(t, "evaluate")))
	tok, file := demoTokenizer(t)
	same(t, tok, texts, ask(t, oracle, file, texts))
}

func TestEncodeWikiTextAsTheLibrary(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(testenv.WikiText(t), "valid.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tok, file := demoTokenizer(t)
	same(t, tok, []string{string(raw)}, ask(t, oracle, file, []string{string(raw)}))
}

// Variants of the demo's tokenizer that take other paths through this package.
func TestEncodeVariantsAsTheLibrary(t *testing.T) {
	_, file := demoTokenizer(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(all map[string]any){
		"prefix space":  func(all map[string]any) { all["pre_tokenizer"].(map[string]any)["add_prefix_space"] = true },
		"ignore merges": func(all map[string]any) { all["model"].(map[string]any)["ignore_merges"] = true },
		"added tokens": func(all map[string]any) {
			all["added_tokens"] = append(all["added_tokens"].([]any), addedFor(2048, "<|end", false), addedFor(322, "ight", true), addedFor(2049, "<|endoftext|><", false), addedFor(2050, "ight o", true), addedFor(2051, "nd t", true))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all map[string]any
			if err := json.Unmarshal(raw, &all); err != nil {
				t.Fatal(err)
			}
			edit(all)
			edited, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tokenizerFile), edited, 0o600); err != nil {
				t.Fatal(err)
			}
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			texts := append(hostile(), string(testenv.DemoText(t, "evaluate")))
			same(t, tok, texts, ask(t, oracle, filepath.Join(dir, tokenizerFile), texts))
		})
	}
}

func addedFor(id int, text string, normalized bool) map[string]any {
	return map[string]any{"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": normalized, "special": !normalized}
}

// Every code point, after a letter, a number, a sign and a space.
func TestWordsAsTheLibrary(t *testing.T) {
	var texts []string
	for r := rune(0); r <= 0x10ffff; r++ {
		if 0xd800 <= r && r < 0xe000 {
			continue
		}
		if assigned := r < 0x3ffff || r >= 0xe0000 && r < 0xe0200; assigned || r%0x1000 == 0 {
			c := string(r)
			texts = append(texts, "a"+c+"1"+c+" !"+c+" x")
		}
	}
	bad := 0
	for i, want := range ask(t, splitOracle, "", texts) {
		if got := ends(texts[i]); !slices.Equal(got, want) {
			if bad++; bad < 10 {
				t.Errorf("%+q is cut at %v, want %v", texts[i], got, want)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d texts are cut in another way", bad)
	}
}

// ends is where the words of text end, in characters.
func ends(text string) []int {
	var all []int
	at := 0
	for text != "" {
		n := word(text)
		at += len([]rune(text[:n]))
		all = append(all, at)
		text = text[n:]
	}
	return all
}
