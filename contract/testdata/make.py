"""Makes the graphs beside this file: tiny random decoders as torch exports them.

    python make.py            # torch 2.15, transformers 5.23, onnx, onnxscript

Each is a real export of a real architecture with one or two layers, so that
names, symbols and position tables are what users have. Only what a contract is
read from is kept: inputs, outputs, and the nodes that take indices to a table.
"""

import os
import sys

import onnx
import torch
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, GPTNeoXConfig, LlamaConfig, OPTConfig, Qwen2Config

HERE = os.path.dirname(os.path.abspath(__file__))
MOVES = ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Flatten")
SMALL = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40)
CONFIGS = {
    "gpt2": GPT2Config(vocab_size=48, n_positions=40, n_embd=16, n_layer=2, n_head=4),
    "llama-gqa": LlamaConfig(**SMALL, num_key_value_heads=2),
    "qwen2": Qwen2Config(**SMALL, num_key_value_heads=1),
    "neox": GPTNeoXConfig(**SMALL),
    "opt": OPTConfig(vocab_size=48, hidden_size=16, word_embed_proj_dim=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40),
}


class Decoder(torch.nn.Module):
    def __init__(self, model, layers, positions):
        super().__init__()
        self.model, self.layers, self.positions = model, layers, positions

    def forward(self, ids, mask, *rest):
        rest = list(rest)
        kwargs = {"position_ids": rest.pop(0)} if self.positions else {}
        cache = DynamicCache(config=self.model.config)
        for i in range(len(rest) // 2):
            cache.update(rest[2 * i], rest[2 * i + 1], i)
        out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **kwargs)
        flat = [t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)]
        return (out.logits, *flat)


def export(name, config, past=True, positions=True, dynamo=False, naming="past_key_values.{}.{}", symbols=("batch_size", "sequence_length", "past_sequence_length", "past_sequence_length + sequence_length")):
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval()
    layers, heads = config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = config.hidden_size // config.num_attention_heads
    b, s, p = 2, 3, 5 if past else 0
    batch, seq, before, total = symbols
    args = [torch.ones(b, s, dtype=torch.int64), torch.ones(b, p + s, dtype=torch.int64)]
    inputs, axes = ["input_ids", "attention_mask"], {"input_ids": {0: batch, 1: seq}, "attention_mask": {0: batch, 1: total if past else seq}}
    if positions:
        args.append(torch.arange(p, p + s)[None].repeat(b, 1))
        inputs.append("position_ids")
        axes["position_ids"] = {0: batch, 1: seq}
    outputs = ["logits"]
    axes["logits"] = {0: batch, 1: seq}
    for i in range(layers):
        for kind in ("key", "value"):
            outputs.append(f"present.{i}.{kind}")
            axes[outputs[-1]] = {0: batch, 2: total if past else seq}
            if past:
                args.append(torch.randn(b, heads, p, size))
                inputs.append(naming.format(i, kind))
                axes[inputs[-1]] = {0: batch, 2: before}
    decoder = Decoder(model, layers, positions)
    path = os.path.join(HERE, name + ".onnx")
    if dynamo:
        auto = torch.export.Dim.DYNAMIC
        shapes = [{int(d): auto for d in axes[n]} for n in inputs]
        shapes = (shapes[0], shapes[1], tuple(shapes[2:]))
        torch.onnx.export(decoder, tuple(args), path, input_names=inputs, output_names=outputs, dynamic_shapes=shapes, dynamo=True, opset_version=18, external_data=False)
    else:
        torch.onnx.export(decoder, tuple(args), path, input_names=inputs, output_names=outputs, dynamic_axes=axes, dynamo=False, opset_version=17)
    m = onnx.load(path)
    onnx.save(skeleton(m), path)
    print(f"{name}: {os.path.getsize(path)} bytes", file=sys.stderr)


def skeleton(m):
    """The graph's inputs and outputs with lookups by an input and what leads to them."""
    kept, near = [], {i.name for i in m.graph.input}
    for n in m.graph.node:
        lookup = n.op_type == "Gather" and n.input[1] in near and n.input[0] not in near
        if lookup or n.op_type in MOVES and n.input[0] in near:
            kept.append(n)
            near |= set() if lookup else set(n.output)
    used = {name for n in kept for name in n.input}
    weights = [w for w in m.graph.initializer if w.name in used]
    graph = onnx.helper.make_graph(kept, m.graph.name, m.graph.input, m.graph.output, weights)
    for n in graph.node:
        n.doc_string = ""
        del n.metadata_props[:]
    return onnx.helper.make_model(graph, opset_imports=m.opset_import, producer_name=m.producer_name)


def main():
    for name, config in CONFIGS.items():
        export(name, config, positions=name != "opt")
    export("gpt2-first", CONFIGS["gpt2"], past=False)
    export("gpt2-uncached", CONFIGS["gpt2"], past=False, positions=False)
    export("gpt2-past-names", CONFIGS["gpt2"], naming="past.{}.{}")
    export("gpt2-genai-symbols", CONFIGS["gpt2"], symbols=("batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"))
    export("gpt2-dynamo", CONFIGS["gpt2"], dynamo=True)


if __name__ == "__main__":
    main()
