package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// census counts the messages and fields of a serialized graph before they are
// made: an empty node is two bytes of a file and hundreds in memory, an empty name
// two and sixteen or more, and protobuf's own limit on nesting, 10,000, is more
// than anything that walks a graph should meet.
type census struct{ left, fields int }

func (c *census) count(b []byte, d protoreflect.MessageDescriptor, depth int) error {
	if c.left--; c.left < 0 {
		return fmt.Errorf("the graph has more than %d parts", maxMessages)
	}
	if depth < 0 {
		return fmt.Errorf("the graph has more than %d subgraphs inside each other", maxNested)
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errEnds
		}
		if c.fields--; c.fields < 0 {
			return fmt.Errorf("the graph has more than %d fields", maxFields)
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			return errEnds
		}
		f := d.Fields().ByNumber(num)
		if f != nil && f.Message() != nil && typ == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(b[n:])
			if err := c.count(content, f.Message(), depth-1); err != nil {
				return err
			}
		}
		b = b[n+size:]
	}
	return nil
}
