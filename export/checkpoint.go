package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/safetensors"
)

const (
	single    = "model.safetensors"
	indexFile = "model.safetensors.index.json"
	maxIndex  = 64 << 20
	prefix    = "transformer."
)

// checkpoint is the tensors of a directory, by their full names
// ("transformer.wte.weight"), wherever they lie.
type checkpoint struct {
	dir     string
	tensors map[string]stored
	files   []io.Closer
}

type stored struct {
	info safetensors.Info
	file *safetensors.File
}

// openCheckpoint opens model.safetensors or, where there is none, all shards
// that the index names.
func openCheckpoint(dir string) (*checkpoint, error) {
	c := &checkpoint{dir: dir, tensors: map[string]stored{}}
	_, err := os.Stat(filepath.Join(dir, single))
	switch {
	case err == nil:
		err = c.add(single, nil)
	case errors.Is(err, fs.ErrNotExist):
		err = c.addShards()
	default:
		err = fsx.Explain("reading", filepath.Join(dir, single), err)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// add takes the tensors of a file; all of them where wanted is nil.
func (c *checkpoint) add(name string, wanted []string) error {
	path := filepath.Join(c.dir, name)
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	c.files = append(c.files, f)
	var errs []error
	for _, t := range wanted {
		if _, ok := f.Tensor(t); !ok {
			errs = append(errs, c.bad(name, "tensor %s is not in it although %s says so", t, indexFile))
		}
	}
	for _, t := range f.Tensors() {
		full := fullName(t.Name)
		if isBuffer(full) {
			continue
		}
		if _, twice := c.tensors[full]; twice {
			errs = append(errs, c.bad(name, "tensor %s occurs twice in the checkpoint", full))
			continue
		}
		c.tensors[full] = stored{info: t, file: f}
	}
	return errors.Join(errs...)
}

func (c *checkpoint) addShards() error {
	path := filepath.Join(c.dir, indexFile)
	data, err := readUpTo(path, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Input, "reading", c.dir, fmt.Sprintf("there is neither %s nor %s", single, indexFile),
			"save the model with save_pretrained(..., safe_serialization=True)")
	}
	if err != nil {
		return err
	}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return fault.Wrap(fault.Input, "reading", path, err, "get the file again")
	}
	shards := map[string][]string{}
	for tensor, shard := range index.Map {
		shards[shard] = append(shards[shard], tensor)
	}
	if len(shards) == 0 {
		return c.bad(indexFile, "its weight_map is empty")
	}
	var errs []error
	for _, shard := range sortedKeys(shards) {
		if shard != filepath.Base(shard) || !filepath.IsLocal(shard) {
			errs = append(errs, c.bad(indexFile, "shard %q is not a file of the same directory", shard))
			continue
		}
		slices.Sort(shards[shard])
		errs = append(errs, c.add(shard, shards[shard]))
	}
	return errors.Join(errs...)
}

// bad is a fault of the checkpoint's file name.
func (c *checkpoint) bad(name, format string, args ...any) error {
	return fault.New(fault.Input, "reading", filepath.Join(c.dir, name), fmt.Sprintf(format, args...),
		"check that the checkpoint is complete and belongs to its config.json")
}

// Close closes the files.
func (c *checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// fullName is the name with the prefix that GPT2LMHeadModel gives and that
// GPT2Model and the first published checkpoints leave out.
func fullName(name string) string {
	if name == headName || strings.HasPrefix(name, prefix) {
		return name
	}
	return prefix + name
}

// isBuffer tells causal masks, which old checkpoints store beside the weights.
func isBuffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}

// elementType is ONNX's type of a safetensors type that weights may have.
func elementType(dtype string) (onnx.DType, bool) {
	switch dtype {
	case "F32":
		return onnx.Float32, true
	case "F16":
		return onnx.Float16, true
	case "BF16":
		return onnx.BFloat16, true
	}
	return 0, false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
