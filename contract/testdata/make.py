#!/usr/bin/env python3
"""Makes the graphs beside this file: tiny random models as the exporters of the world write them.

    python3.11 -m venv /tmp/exporters
    /tmp/exporters/bin/pip install --require-hashes -r requirements.txt
    /tmp/exporters/bin/python make.py [NAME...]     # without names: all

optimum-onnx wants an older transformers than onnxruntime-genai and torch.onnx.export (since it
patches what the exporters cannot trace), so the optimum-* graphs are made by an environment of
requirements-optimum.txt and all others by one of requirements.txt. What the one at hand cannot
make is said and left as it is.

Each is a real export of a real architecture with one or two layers of width 16, by
torch.onnx.export (TorchScript and dynamo), optimum-onnx or the model builder of
onnxruntime-genai, whole and with its weights, so that it can be run and built. Only what
nobody reads is taken away: doc strings, the exporters' notes on nodes, value infos, and the
names of nodes and of values inside (which are most of a file).

roles.json is what this script knows about them: the roles of every input and output, by the
names that it gave. ONNX Runtime holds them to it: each graph is run at two sets of sizes, and
the outputs must be as long as their roles say.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import torch
from transformers import (AutoModel, AutoModelForCausalLM, AutoModelForImageClassification, BertConfig, DynamicCache,
                          GPT2Config, GPTNeoXConfig, LlamaConfig, OPTConfig, PreTrainedTokenizerFast, Qwen2Config,
                          ResNetConfig, ViTConfig)

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40)
CONFIGS = {
    "gpt2": lambda: GPT2Config(vocab_size=48, n_positions=40, n_embd=16, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0),
    "genai-llama": lambda: LlamaConfig(**dict(SMALL, hidden_size=32, num_attention_heads=2), num_key_value_heads=1),  # GroupQueryAttention wants heads of 16
    "genai-qwen2": lambda: Qwen2Config(**dict(SMALL, hidden_size=32, num_attention_heads=2, num_hidden_layers=1), num_key_value_heads=1),
    "gpt2-1": lambda: GPT2Config(vocab_size=48, n_positions=40, n_embd=16, n_layer=1, n_head=4, bos_token_id=0, eos_token_id=0),
    "llama": lambda: LlamaConfig(**SMALL, num_key_value_heads=2),
    "qwen2": lambda: Qwen2Config(**SMALL, num_key_value_heads=1),
    "neox": lambda: GPTNeoXConfig(**SMALL, bos_token_id=0, eos_token_id=0),
    "opt": lambda: OPTConfig(vocab_size=48, hidden_size=16, word_embed_proj_dim=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40),
    "bert": lambda: BertConfig(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4, max_position_embeddings=40),
    "vit": lambda: ViTConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4, image_size=32, patch_size=16),
    "resnet": lambda: ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_channels=3),
}


class Decoder(torch.nn.Module):
    """A causal language model with its cache as a flat list of tensors."""

    def __init__(self, model, positions):
        super().__init__()
        self.model, self.positions = model, positions

    def forward(self, ids, mask, *rest):
        rest = list(rest)
        kwargs = {"position_ids": rest.pop(0)} if self.positions else {}
        cache = DynamicCache(config=self.model.config)
        for i in range(len(rest) // 2):
            cache.update(rest[2 * i], rest[2 * i + 1], i)
        out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **kwargs)
        return (out.logits, *(t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)))


class Plain(torch.nn.Module):
    """A causal language model without a cache: ids to logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask=None):
        return self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits


def random_model(arch):
    torch.manual_seed(0)
    config = CONFIGS[arch]()
    config._attn_implementation = "eager"
    return AutoModelForCausalLM.from_config(config).eval()


def with_torch(path, arch, past=True, positions=True, dynamo=False, naming="past_key_values.{}.{}",
               symbols=("batch_size", "sequence_length", "past_sequence_length", "past_sequence_length + sequence_length")):
    model = random_model(arch)
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
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
    for i in range(config.num_hidden_layers):
        for kind in ("key", "value"):
            outputs.append(f"present.{i}.{kind}")
            axes[outputs[-1]] = {0: batch, 2: total if past else seq}
            if past:
                args.append(torch.randn(b, heads, p, config.hidden_size // config.num_attention_heads))
                inputs.append(naming.format(i, kind))
                axes[inputs[-1]] = {0: batch, 2: before}
    write(path, Decoder(model, positions), args, inputs, outputs, axes, dynamo)


def plain(path, arch, mask=False, dynamo=False):
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}, "logits": {0: "batch_size", 1: "sequence_length"}}
    args, inputs = [torch.ones(2, 3, dtype=torch.int64)], ["input_ids"]
    if mask:
        args, inputs = args * 2, inputs + ["attention_mask"]
        axes["attention_mask"] = axes["input_ids"]
    write(path, Plain(random_model(arch)), args, inputs, ["logits"], axes, dynamo)


def write(path, module, args, inputs, outputs, axes, dynamo):
    if not dynamo:
        torch.onnx.export(module, tuple(args), path, input_names=inputs, output_names=outputs, dynamic_axes=axes, dynamo=False, opset_version=17)
        return
    auto = torch.export.Dim.DYNAMIC
    shapes = [{int(d): auto for d in axes[n]} for n in inputs]
    if isinstance(module, Decoder):
        shapes = (shapes[0], shapes[1], tuple(shapes[2:]))
    torch.onnx.export(module, tuple(args), path, input_names=inputs, output_names=outputs, dynamic_shapes=tuple(shapes),
                      dynamo=True, opset_version=18, external_data=False)


def with_optimum(path, arch, task, auto=AutoModelForCausalLM):
    from optimum.exporters.onnx import onnx_export_from_model
    torch.manual_seed(0)
    config = CONFIGS[arch]()
    model = auto.from_config(config).eval()
    with tempfile.TemporaryDirectory() as out:
        onnx_export_from_model(model, out, task=task, do_validation=False)
        shutil.copy(os.path.join(out, "model.onnx"), path)


def with_genai(path, arch, **options):
    from tokenizers import Tokenizer, models
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "in")
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(CONFIGS[arch]()).eval().save_pretrained(source)
        words = Tokenizer(models.WordLevel({str(i): i for i in range(48)}, unk_token="0"))
        PreTrainedTokenizerFast(tokenizer_object=words, eos_token="0", bos_token="0", pad_token="0").save_pretrained(source)
        out = os.path.join(work, "out")
        args = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", out, "-p", "fp32", "-e", "cpu", "-c", os.path.join(work, "cache")]
        if options:
            args += ["--extra_options", *(f"{k}={v}" for k, v in options.items())]
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
        onnx.save(onnx.load(os.path.join(out, "model.onnx")), path)


FIXTURES = {
    "gpt2": lambda p: with_torch(p, "gpt2"),
    "llama": lambda p: with_torch(p, "llama"),
    "qwen2": lambda p: with_torch(p, "qwen2"),
    "neox": lambda p: with_torch(p, "neox"),
    "opt": lambda p: with_torch(p, "opt", positions=False),
    "gpt2-first": lambda p: with_torch(p, "gpt2-1", past=False),
    "gpt2-first-nopos": lambda p: with_torch(p, "gpt2-1", past=False, positions=False),
    "gpt2-past-names": lambda p: with_torch(p, "gpt2-1", naming="past.{}.{}"),
    "gpt2-genai-symbols": lambda p: with_torch(p, "gpt2-1", symbols=("batch_size", "sequence_length", "past_sequence_length", "total_sequence_length")),
    "gpt2-dynamo": lambda p: with_torch(p, "gpt2", dynamo=True),
    "llama-dynamo": lambda p: with_torch(p, "llama", dynamo=True),
    "neox-dynamo": lambda p: with_torch(p, "neox", positions=False, dynamo=True),
    "gpt2-plain-mask": lambda p: plain(p, "gpt2-1", mask=True),
    "llama-plain-mask": lambda p: plain(p, "llama", mask=True),
    "gpt2-plain-dynamo": lambda p: plain(p, "gpt2-1", dynamo=True),
    "optimum-gpt2": lambda p: with_optimum(p, "gpt2", "text-generation-with-past"),
    "optimum-gpt2-nopast": lambda p: with_optimum(p, "gpt2-1", "text-generation"),
    "optimum-opt": lambda p: with_optimum(p, "opt", "text-generation-with-past"),
    "optimum-llama": lambda p: with_optimum(p, "llama", "text-generation-with-past"),
    "optimum-qwen2": lambda p: with_optimum(p, "qwen2", "text-generation-with-past"),
    "optimum-neox": lambda p: with_optimum(p, "neox", "text-generation-with-past"),
    "optimum-bert": lambda p: with_optimum(p, "bert", "feature-extraction", AutoModel),
    "optimum-vit": lambda p: with_optimum(p, "vit", "image-classification", AutoModelForImageClassification),
    "optimum-resnet": lambda p: with_optimum(p, "resnet", "image-classification", AutoModelForImageClassification),
    "genai-llama": lambda p: with_genai(p, "genai-llama"),
    "genai-qwen2": lambda p: with_genai(p, "genai-qwen2"),
}


def strip(path):
    m = onnx.load(path)
    kept = {v.name for v in list(m.graph.input) + list(m.graph.output) + list(m.graph.initializer)}
    short = {}
    for i, n in enumerate(m.graph.node):
        n.name, n.doc_string = f"n{i}", ""
        del n.metadata_props[:]
        assert not any(a.HasField("g") for a in n.attribute)
        n.input[:] = [short.get(x, x) for x in n.input]
        for x in n.output:
            if x and x not in kept:
                short[x] = f"v{len(short)}"
        n.output[:] = [short.get(x, x) for x in n.output]
    del m.graph.value_info[:]
    del m.graph.metadata_props[:]
    m.doc_string = m.graph.doc_string = ""
    for v in list(m.graph.input) + list(m.graph.output):
        del v.metadata_props[:]
    for w in m.graph.initializer:
        w.doc_string = ""
        del w.metadata_props[:]
    onnx.save(m, path)
    return m


def roles_of(name, cached, vision):
    """The roles of a tensor by the name that an exporter was told to give, or that its manual states."""
    total = "total" if cached else "seq"
    if name == "pixel_values":
        return ["batch", "static", "free", "free"]
    if name == "logits" and vision:
        return ["batch", "static"]
    if name in ("input_ids", "position_ids", "token_type_ids"):
        return ["batch", "seq"]
    if name == "attention_mask":
        return ["batch", total]
    if name == "logits":
        return ["batch", "seq", "static"]
    if name == "last_hidden_state":
        return ["batch", "seq", "static"]
    if name.startswith("past"):
        return ["batch", "static", "past", "static"]
    if name.startswith("present"):
        return ["batch", "static", total, "static"]
    raise ValueError(name)


NAMED = {"kv_cache_dim": 16, "num_channels": 3}  # sizes that exporters leave open and the graph does not


def prove(path, m):
    """The roles of m, which ONNX Runtime's outputs obey at two sets of sizes."""
    weights = {w.name for w in m.graph.initializer}
    inputs = [v for v in m.graph.input if v.name not in weights]
    cached = any(v.name.startswith("past") for v in inputs)
    vision = inputs[0].name == "pixel_values"
    roles = {v.name: roles_of(v.name, cached, vision) for v in inputs + list(m.graph.output)}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, seq, past in ((1, 3, 5), (3, 1, 7)):  # GroupQueryAttention takes several tokens behind a past for one row only
        size = {"batch": batch, "seq": seq, "past": past, "total": past + seq if cached else seq, "free": 32}
        feeds = {}
        for v in inputs:
            t = v.type.tensor_type
            shape = [size.get(r) or d.dim_value or NAMED[d.dim_param] for r, d in zip(roles[v.name], t.shape.dim)]
            feeds[v.name] = numpy.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(t.elem_type))
        for v, x in zip(m.graph.output, session.run(None, feeds)):
            want = [size.get(r) or n for r, n in zip(roles[v.name], x.shape)]
            assert list(x.shape) == want, (path, v.name, x.shape, want)
    return {"inputs": {v.name: roles[v.name] for v in inputs}, "outputs": {v.name: roles[v.name] for v in m.graph.output}}


def main():
    names = sys.argv[1:] or list(FIXTURES)
    record = os.path.join(HERE, "roles.json")
    known = json.load(open(record)) if os.path.exists(record) else {}
    for name in names:
        path = os.path.join(HERE, name + ".onnx")
        try:
            FIXTURES[name](path)
        except Exception as e:
            print(f"{name}: not made: {e!r}"[:300], file=sys.stderr)
            continue
        known[name] = prove(path, strip(path))
        print(f"{name}: {os.path.getsize(path)} bytes", file=sys.stderr)
    known = {n: known[n] for n in FIXTURES if n in known}
    with open(record, "w") as f:
        json.dump(known, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
