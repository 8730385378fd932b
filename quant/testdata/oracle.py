"""Outside judges for quant's tests: PyTorch's exporter, ONNX Runtime and numpy.

oracle.py torch DIR NAME...          random decoders of transformers as DIR/NAME.onnx
oracle.py ranges GRAPH OUT [IDS]     extremes of the graph's outputs, as a table's ranges
oracle.py compare REFERENCE GRAPH... the logits of each beside the reference's, as JSON
oracle.py perplexity IDS GRAPH...    perplexity of the token ids in windows of 256
oracle.py typed REFERENCE GRAPH...   like compare, by numpy in the types that the graphs state, and where they overflow
oracle.py typedppl IDS GRAPH...      like perplexity, by numpy in the types that the graphs state
oracle.py types LIST                 what is wrong with the types of the graphs that the file lists
oracle.py support                    which operators take float16 and bfloat16 late, by ONNX's schemas
oracle.py half IN OUT TYPE           float32 to float16 or bfloat16 by numpy
oracle.py int8 IN OUT ROWS COLS AXIS scales and levels of a weight by numpy
"""
import collections
import json
import sys
import tempfile
import warnings

import numpy as np


WORDS = 48  # the smallest vocabulary among the graphs


def torch_export(folder, *names):
    import inspect

    import torch
    import transformers
    from transformers.cache_utils import DynamicCache

    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    small = dict(vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)
    configs = {
        "gpt2": lambda: transformers.GPT2Config(vocab_size=97, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0),
        "llama": lambda: transformers.LlamaConfig(**small, intermediate_size=64, num_key_value_heads=2),
        "opt": lambda: transformers.OPTConfig(**small, ffn_dim=64, word_embed_proj_dim=32),
    }
    for name in names:
        torch.manual_seed(0)
        config = configs[name]()
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        for p in model.parameters():
            if p.dim() == 2:
                p.data.mul_(4)
        layers, heads = 2, getattr(config, "num_key_value_heads", None) or 4
        positions = "position_ids" in inspect.signature(model.forward).parameters

        class Cached(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, ids, mask, position_ids, *kv):
                cache = DynamicCache()
                for i in range(layers):
                    cache.update(kv[2 * i], kv[2 * i + 1], i)
                more = {"position_ids": position_ids} if positions else {}
                out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)
                return (out.logits, *(t for l in out.past_key_values.layers for t in (l.keys, l.values)))

        pairs = [f"{i}.{k}" for i in range(layers) for k in ("key", "value")]
        inputs = ["input_ids", "attention_mask", "position_ids"] + ["past_key_values." + p for p in pairs]
        axes = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "total"}, "position_ids": {0: "batch", 1: "seq"}}
        axes.update({n: {0: "batch", 2: "past"} for n in inputs[3:]})
        args = (torch.randint(0, 97, (2, 3)), torch.ones(2, 8, dtype=torch.int64), torch.arange(5, 8)[None].repeat(2, 1))
        args += tuple(torch.randn(2, heads, 5, 8) for _ in pairs)
        torch.onnx.export(Cached(), args, f"{folder}/{name}.onnx", input_names=inputs, dynamic_axes=axes, opset_version=20,
                          output_names=["logits"] + ["present." + p for p in pairs], dynamo=False)


def session(path, optimized="", signed=False):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if signed:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if optimized:
        options.optimized_model_filepath = optimized
    return ort.InferenceSession(path, options)


class Typed:
    """A graph run by ONNX's reference implementation: every value is of the type that the graph states, and rounded
    and overflowing as that type does. Matrix products sum in float32 and are rounded once, as tensor cores do (and
    numpy, which takes minutes for it). ONNX Runtime's CPU provider computes in float32 between casts instead."""

    def __init__(self, path):
        import onnx
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.op_run import OpRun

        def wide(x, transposed=0):
            return (x.T if transposed else x).astype(np.float32)

        class MatMul(OpRun):
            def _run(self, a, b):
                return (np.matmul(wide(a), wide(b)).astype(a.dtype),)

        class Gemm(OpRun):
            def _run(self, a, b, c=None, alpha=1, beta=1, transA=0, transB=0):
                y = alpha * (wide(a, transA) @ wide(b, transB))
                return ((y if c is None else y + beta * wide(c)).astype(a.dtype),)

        onnx.checker.check_model(path, full_check=True)
        self.graph = onnx.load(path, load_external_data=False).graph
        self.evaluator = ReferenceEvaluator(path, new_ops=[MatMul, Gemm])
        self.run = self.evaluator.run

    def values(self, feeds):
        return self.evaluator.run(None, feeds, intermediate=True)

    def overflows(self, runs):
        """The first value that is not finite in one of the runs."""
        for name in (o for n in self.graph.node for o in n.output):
            if any(r[name].dtype.kind not in "iub" and not np.isfinite(r[name].astype(np.float32)).all() for r in runs):
                return name

    def get_inputs(self):
        import onnx

        Input = collections.namedtuple("Input", "name type shape")
        for i in self.graph.input:
            t = i.type.tensor_type
            yield Input(i.name, onnx.helper.tensor_dtype_to_np_dtype(t.elem_type), [d.dim_value for d in t.shape.dim])


def feeds(s, ids, past, seed=0):
    """Inputs for a batch of ids after a random past; the first row is left-padded by two where there are several."""
    batch, seq = ids.shape
    rng = np.random.default_rng(seed)
    if all(len(i.shape) < 4 for i in s.get_inputs()):
        past = 0  # the graph has none
    mask = np.ones((batch, seq + past), np.int64)
    if batch > 1:
        mask[0, :2] = 0
    fed = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask, "position_ids": np.tile(np.arange(past, past + seq), (batch, 1))}
    all_feeds = {}
    for i in s.get_inputs():
        value = fed.get(i.name)
        if value is None:
            kind = i.type if isinstance(i.type, np.dtype) else np.float16 if "float16" in i.type else np.float32
            width = i.shape[3] if isinstance(i.shape[3], int) else 16  # onnxruntime-genai leaves it open
            value = rng.standard_normal((batch, i.shape[1], past, width)).astype(kind)
        all_feeds[i.name] = value
    return all_feeds


def ranges(graph, out, ids=None):
    s = session(graph)
    lo, hi = {}, {}
    if ids:
        text = np.array(json.load(open(ids)))
        windows = [(text[i:i + 64][None], 0) for i in range(0, 64 * 32, 64)]
    else:
        rng = np.random.default_rng(2)
        windows = [(rng.integers(0, WORDS, (2, 16)), 8), (rng.integers(0, WORDS, (1, 24)), 0)]
    for window, past in windows:
        for o, v in zip(s.get_outputs(), s.run(None, feeds(s, window, past))):
            lo[o.name] = min(lo.get(o.name, np.inf), float(v.min()))
            hi[o.name] = max(hi.get(o.name, -np.inf), float(v.max()))
    json.dump({n: {"lo": lo[n], "hi": hi[n], "amax": max(-lo[n], hi[n])} for n in lo}, open(out, "w"))


def compare(reference, *graphs):
    import onnx

    rng = np.random.default_rng(1)
    samples = [(rng.integers(0, WORDS, (2, 3)), 5), (rng.integers(0, WORDS, (1, 7)), 0), (rng.integers(0, WORDS, (1, 1)), 20)]
    r = session(reference)
    result = [r.get_outputs()[0].name]
    want = [r.run(result, feeds(r, *s))[0] for s in samples]
    for path in graphs:
        onnx.checker.check_model(path, full_check=True)
        ops = {}
        for signed in (True, False):
            with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
                s = session(path, f.name, signed)
                nodes = onnx.load(f.name, load_external_data=False).graph.node
            ops["signed" if signed else "default"] = collections.Counter(n.op_type for n in nodes)
        got = [s.run(result, feeds(s, *x))[0] for x in samples]
        print(json.dumps({
            "rms": [float(np.sqrt(((a - b) ** 2).mean() / (a ** 2).mean())) for a, b in zip(want, got)],
            "finite": all(bool(np.isfinite(g).all()) for g in got), "ops": ops,
            "types": {i.name: i.type for i in s.get_inputs() + s.get_outputs()},
        }))


def typed(reference, *graphs):
    rng = np.random.default_rng(1)
    samples = [(rng.integers(0, 97, (2, 3)), 5), (rng.integers(0, 97, (1, 7)), 0), (rng.integers(0, 97, (1, 1)), 20)]
    r = session(reference)
    want = [r.run(["logits"], feeds(r, *s))[0] for s in samples]
    for path in graphs:
        s = Typed(path)
        with np.errstate(all="ignore"):
            runs = [s.values(feeds(s, *x)) for x in samples]
            got = [r["logits"].astype(np.float32) for r in runs]
            rms = [float(np.sqrt(((a - b) ** 2).mean() / (a ** 2).mean())) for a, b in zip(want, got)]
        finite = all(bool(np.isfinite(g).all()) for g in got)
        print(json.dumps({"rms": rms if finite else None, "finite": finite, "first": s.overflows(runs)}))


def typedppl(ids, *graphs):
    perplexity(ids, *graphs, session=Typed)


def perplexity(ids, *graphs, session=session):
    text = np.array(json.load(open(ids)))
    for path in graphs:
        s, nll, n = session(path), 0.0, 0
        for start in range(0, len(text) - 1, 256):
            window = text[start:start + 256]
            logits = s.run(["logits"], feeds(s, window[None], 0))[0][0][:-1].astype(np.float64)
            top = logits.max(1, keepdims=True)
            lse = top[:, 0] + np.log(np.exp(logits - top).sum(1))
            nll += (lse - logits[np.arange(len(window) - 1), window[1:]]).sum()
            n += len(window) - 1
        print(json.dumps(float(np.exp(nll / n))))


def half(source, out, kind):
    import ml_dtypes

    t = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[kind]
    most = np.float32(ml_dtypes.finfo(t).max)
    v = np.fromfile(source, np.float32)
    np.where(np.isinf(v), v, np.clip(v, -most, most)).astype(t).tofile(out)


def int8(source, out, rows, cols, axis):
    w = np.fromfile(source, np.float32).reshape(int(rows), int(cols))
    scale = (np.abs(w).max(axis=1 - int(axis), keepdims=True) / np.float32(127)).astype(np.float32)
    scale[scale == 0] = 1
    level = np.clip(np.rint(w / scale), -127, 127).astype(np.int8)
    with open(out, "wb") as f:
        f.write(scale.tobytes() + level.tobytes())


def types(listed):
    import onnx

    for path in open(listed).read().split("\n"):
        try:
            s = Typed(path)
            inferred = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True).graph
            stated = {v.name: onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
                      for v in [*inferred.value_info, *inferred.output]}
            fed = {i.name: np.random.default_rng(0).standard_normal(i.shape).astype(i.type) for i in s.get_inputs()}
            with np.errstate(all="ignore"):
                values = s.values(fed)
            for name, t in stated.items():
                if name in values and values[name].dtype != t:
                    print(f"{path}: {name} is {values[name].dtype}, stated is {t}")
        except Exception as e:  # the test reports it
            print(f"{path}: {type(e).__name__}: {' '.join(str(e).split())[:500]}")


def support():
    import onnx

    def tensors(s):  # no sequences, no subgraphs
        allowed = [t for c in s.type_constraints for t in c.allowed_type_strs]
        graphs = any(a.type == onnx.defs.OpSchema.AttrType.GRAPH for a in s.attributes.values())
        return s.name == "Identity" or not graphs and not any(t.startswith(("seq(tensor(float))", "optional(")) for t in allowed)

    schemas = collections.defaultdict(list)
    for s in onnx.defs.get_all_schemas_with_history():
        if s.domain == "" and not s.deprecated and tensors(s):
            schemas[s.name].append(s)

    def takes(s, t):
        constraints = [c for c in s.type_constraints if "tensor(float)" in c.allowed_type_strs and c.type_param_str != "U"]
        fixed = any(p.type_str == "tensor(float)" for p in [*s.inputs, *s.outputs])
        return None if not constraints and not fixed else not fixed and all(t in c.allowed_type_strs for c in constraints)

    late = {}
    for t, first in ("float16", 1), ("bfloat16", 13):
        late[t] = {}
        for name, versions in schemas.items():
            opset = last = None
            for s in sorted(versions, key=lambda s: s.since_version):
                if (last := takes(s, f"tensor({t})")) is None:
                    continue
                first_float = s.since_version if opset is None else first_float
                opset = (opset or s.since_version) if last else 1 << 30
                opset = s.since_version if last and opset == 1 << 30 else opset
            if opset is not None and opset > max(first, first_float):
                late[t][name] = opset
    print(json.dumps(late))


globals()[{"torch": "torch_export"}.get(sys.argv[1], sys.argv[1])](*sys.argv[2:])
