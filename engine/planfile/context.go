package planfile

import (
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/onnx"
)

// Context is a node of an EPContext model: an engine that ONNX Runtime's execution
// provider compiled, in the model or beside it. The attributes are those of the
// operator com.microsoft.EPContext.
type Context struct {
	Node      string  `json:"node"`
	Source    string  `json:"source,omitempty"`    // the provider that compiled it
	SDK       string  `json:"sdk,omitempty"`       // its library's version
	Hardware  string  `json:"hardware,omitempty"`  // what it was compiled for, in the provider's words
	Partition string  `json:"partition,omitempty"` // of the graph, which it stands for
	Embedded  bool    `json:"embedded"`
	File      string  `json:"file,omitempty"` // beside the model, where it is not embedded
	Bytes     int64   `json:"bytes,omitempty"`
	Plan      *Header `json:"plan,omitempty"`    // where it is a TensorRT plan
	Problem   string  `json:"problem,omitempty"` // why there is none to be read
}

// Contexts reads the EPContext nodes of a model that lies in dir.
func Contexts(m *onnx.Model, dir string) (all []Context) {
	for _, n := range m.Graph().GetNode() {
		if n.GetOpType() != "EPContext" {
			continue
		}
		text := func(name string) string { return string(onnx.Attr(n, name).GetS()) }
		c := Context{
			Node: n.GetName(), Source: text("source"), SDK: text("ep_sdk_version"), Hardware: text("hardware_architecture"),
			Partition: text("partition_name"), Embedded: onnx.AttrInt(n, "embed_mode", 1) == 1,
		}
		content := onnx.Attr(n, "ep_cache_context").GetS()
		switch {
		case onnx.AttrInt(n, "main_context", 1) == 0: // another node holds the engine
		case c.Embedded:
			c.embedded(content)
		default:
			c.File = string(content)
			c.beside(dir)
		}
		all = append(all, c)
	}
	return all
}

func (c *Context) embedded(content []byte) {
	c.Bytes = int64(len(content))
	h, err := Parse(content[:min(len(content), HeaderBytes)])
	if err != nil {
		c.Problem = err.Error()
		return
	}
	if c.Plan = &h; h.Bytes > 0 && h.Bytes != c.Bytes {
		c.Problem = "it was cut or added to"
	}
}

func (c *Context) beside(dir string) {
	if !filepath.IsLocal(c.File) {
		c.Problem = "it names a file outside of the model's directory, which ONNX Runtime refuses"
		return
	}
	path := filepath.Join(dir, c.File)
	if info, err := os.Stat(path); err == nil {
		c.Bytes = info.Size()
	}
	h, err := Read(path)
	if err != nil {
		c.Problem = err.Error()
		return
	}
	c.Plan = &h
}
