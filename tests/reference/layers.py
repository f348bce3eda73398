#!/usr/bin/env python3
"""Writes data/layers.json and data/layers.npz: what layers, functions and losses give, and their gradients, in float64.

A case is an expression of the language, its inputs and parameters, and the same computed by PyTorch, or, where PyTorch lacks it, from the paper's equation. Random
draws come from Philox, written here from the paper, with the seed 7 at step 3.
The gradients are those of sum(y * c) for a fixed c. Arrays are named CASE/in/NAME, CASE/param/PATH, CASE/state/PATH, CASE/c, CASE/y, CASE/grad/NAME and
CASE/next/PATH.

    python3 layers.py
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
CASES, ARRAYS = [], {}
RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.normal(size=shape)


def case(name, text, compute, inputs, params=None, states=None, nexts=None, training=False):
    """compute(inputs..., params...) by keyword: inputs by name, parameters by path with dots as underscores."""
    params, states = params or {}, states or {}
    assert all(c["name"] != name for c in CASES), name
    CASES.append({"name": name, "text": text, "training": training})
    tensors = {}
    for kind, group in (("in", inputs), ("param", params), ("state", states)):
        for path, value in group.items():
            value = np.asarray(value)
            ARRAYS[f"{name}/{kind}/{path}"] = value
            tensor = torch.tensor(value)
            tensors[path] = tensor.requires_grad_(tensor.is_floating_point() and kind != "state")
    result = compute(**{path.replace(".", "_"): tensor for path, tensor in tensors.items()})
    y, after = result if isinstance(result, tuple) else (result, {})
    y = y.double()
    c = torch.tensor(np.asarray(normal(*y.shape)))
    if y.requires_grad:
        (y * c).sum().backward()
    ARRAYS[f"{name}/c"] = c.numpy()
    ARRAYS[f"{name}/y"] = y.detach().numpy()
    for path, value in after.items():
        ARRAYS[f"{name}/next/{path}"] = value.detach().numpy()
    for path, tensor in tensors.items():
        if tensor.requires_grad and tensor.grad is not None:
            ARRAYS[f"{name}/grad/{path}"] = tensor.grad.numpy()


# ---- Linear maps, convolutions ------------------------------------------------------------------------------------------

case("dense", "x |> dense(4)", lambda x, dense_0_weight, dense_0_bias: x @ dense_0_weight + dense_0_bias,
     {"x": normal(5, 3)}, {"dense_0.weight": normal(3, 4), "dense_0.bias": normal(4)})
case("dense of positions without bias", "x |> dense(4, bias = false)", lambda x, dense_0_weight: x @ dense_0_weight, {"x": normal(2, 5, 3)}, {"dense_0.weight": normal(3, 4)})


def channels_last(x):
    return x.permute(0, 2, *range(3, x.dim()), 1) if x.dim() > 3 else x.permute(0, 2, 1)


def channels_first(x):
    return x.permute(0, x.dim() - 1, *range(1, x.dim() - 1))


def back(x):
    return x.permute(0, *range(2, x.dim()), 1)


def same(n, k, s, d):
    total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
    return total // 2, total - total // 2


def convolution(axes, stride=1, padding="same", dilation=1, groups=1):
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    wide = lambda v: (v,) * axes if isinstance(v, int) else v
    stride, dilation = wide(stride), wide(dilation)

    def run(x, weight, bias=None):
        pads = [same(n, k, s, d) for n, k, s, d in zip(x.shape[1:-1], weight.shape[:axes], stride, dilation)] if padding == "same" else padding
        x = F.pad(channels_first(x), [p for pair in reversed(pads) for p in pair])
        return back(function(x, weight.permute(axes + 1, axes, *range(axes)), bias, stride, 0, dilation, groups))
    return run


def conv(name, text, shape, kernel, kind, bias=True, **options):
    axes = len(kernel) - 2
    params = {"c.weight": normal(*kernel)}
    if bias:
        params["c.bias"] = normal(kernel[-1])
    case(name, f"let c = {text}\n  output y = c(x)", lambda x, c_weight, c_bias=None: convolution(axes, **options)(x, c_weight, c_bias), {"x": normal(*shape)}, params)


conv("conv1d", "conv1d(4, 3)", (2, 7, 3), (3, 3, 4), "conv1d")
conv("conv1d strided, dilated, causal", "conv1d(4, 3, stride = 2, dilation = 2, padding = ((4, 0),))", (2, 9, 3), (3, 3, 4), "conv1d", stride=2, dilation=2, padding=[(4, 0)])
conv("conv1d in groups", "conv1d(6, 2, groups = 2, bias = false)", (2, 6, 4), (2, 2, 6), "conv1d", bias=False, groups=2)
conv("conv2d", "conv2d(4, 3)", (2, 5, 6, 3), (3, 3, 3, 4), "conv2d")
conv("conv2d strided", "conv2d(4, (3, 2), stride = (2, 3))", (2, 7, 8, 3), (3, 2, 3, 4), "conv2d", stride=(2, 3))
conv("conv2d valid", "conv2d(4, 3, padding = valid)", (2, 5, 6, 3), (3, 3, 3, 4), "conv2d", padding=[(0, 0), (0, 0)])
conv("conv2d padded unevenly", "conv2d(4, 3, padding = ((2, 0), (1, 3)), bias = false)", (2, 5, 4, 3), (3, 3, 3, 4), "conv2d", bias=False, padding=[(2, 0), (1, 3)])
conv("conv2d dilated", "conv2d(4, 3, dilation = (2, 1))", (2, 6, 5, 3), (3, 3, 3, 4), "conv2d", dilation=(2, 1))
conv("conv2d in groups", "conv2d(6, 3, stride = 2, groups = 2)", (2, 6, 5, 4), (3, 3, 2, 6), "conv2d", stride=2, groups=2)
conv("conv2d of one", "conv2d(4, 1, bias = false)", (2, 3, 3, 5), (1, 1, 5, 4), "conv2d", bias=False)
conv("conv3d", "conv3d(2, (3, 1, 2), stride = (1, 2, 1))", (2, 3, 4, 3, 2), (3, 1, 2, 2, 2), "conv3d", stride=(1, 2, 1))
conv("depthwise_conv2d", "depthwise_conv2d(3, multiplier = 2, stride = 2)", (2, 5, 6, 3), (3, 3, 1, 6), "depthwise", stride=2, groups=3)


def transposed(name, text, shape, kernel, stride, low, high, more):
    """low and high are cut off; PyTorch's padding is even, so all is made and cut here."""
    axes = len(kernel) - 2
    function = (F.conv_transpose1d, F.conv_transpose2d)[axes - 1]

    def run(x, c_weight, c_bias):
        y = function(channels_first(x), c_weight.permute(axes + 1, axes, *range(axes)), None, stride)
        for axis in range(axes):
            y = y.narrow(2 + axis, low[axis], y.shape[2 + axis] - low[axis] - max(0, high[axis]))
            if -high[axis] + more > 0:
                y = F.pad(y, [0, 0] * (axes - 1 - axis) + [0, -min(0, high[axis]) + more])
        return back(y) + c_bias
    case(name, f"let c = {text}\n  output y = c(x)", run, {"x": normal(*shape)}, {"c.weight": normal(*kernel), "c.bias": normal(kernel[-2])})


transposed("conv_transpose1d", "conv_transpose1d(4, 3, stride = 2)", (2, 5, 3), (3, 4, 3), 2, [0], [1], 0)
transposed("conv_transpose1d valid", "conv_transpose1d(4, 3, stride = 2, padding = valid)", (2, 5, 3), (3, 4, 3), 2, [0], [0], 0)
transposed("conv_transpose1d of a small kernel", "conv_transpose1d(4, 2, stride = 3)", (2, 4, 3), (2, 4, 3), 3, [0], [-1], 0)
transposed("conv_transpose2d", "conv_transpose2d(4, 4, stride = 2)", (2, 3, 4, 3), (4, 4, 4, 3), 2, [1, 1], [1, 1], 0)
case("conv_transpose2d with padding in numbers", "let c = conv_transpose2d(4, 3, stride = 2, padding = 1, output_padding = 1)\n  output y = c(x)",
     lambda x, c_weight, c_bias: back(F.conv_transpose2d(channels_first(x), c_weight.permute(3, 2, 0, 1), c_bias, 2, 1, 1)),
     {"x": normal(2, 3, 4, 3)}, {"c.weight": normal(3, 3, 4, 3), "c.bias": normal(4)})

# ---- Norms, embeddings, slopes ------------------------------------------------------------------------------------------


def batch_norm(training, momentum):
    def run(x, n_weight, n_bias, n_mean, n_var):
        mean, var = n_mean.clone(), n_var.clone()
        y = back(F.batch_norm(channels_first(x) if x.dim() > 2 else x, mean, var, n_weight, n_bias, training, 1 - momentum)) if x.dim() > 2 \
            else F.batch_norm(x, mean, var, n_weight, n_bias, training, 1 - momentum)
        return y, ({"n.mean": mean, "n.var": var} if training else {})
    return run


for training in (True, False):
    for shape in ((6, 3), (4, 3, 2, 3)):
        case(f"batch_norm of {len(shape)} axes in {'training' if training else 'evaluation'}", "let n = batch_norm(momentum = 0.7)\n  output y = n(x)", batch_norm(training, 0.7),
             {"x": normal(*shape)}, {"n.weight": normal(3), "n.bias": normal(3)}, {"n.mean": normal(3), "n.var": 0.5 + RNG.random(3)}, training=training)
affine = {"n.weight": normal(6), "n.bias": normal(6)}
case("layer_norm", "let n = layer_norm()\n  output y = n(x)", lambda x, n_weight, n_bias: F.layer_norm(x, (6,), n_weight, n_bias), {"x": normal(2, 4, 6)}, affine)
case("layer_norm with eps", "let n = layer_norm(eps = 0.1)\n  output y = n(x)", lambda x, n_weight, n_bias: F.layer_norm(x, (6,), n_weight, n_bias, 0.1), {"x": normal(3, 6)}, affine)
case("group_norm", "let n = group_norm(3)\n  output y = n(x)", lambda x, n_weight, n_bias: back(F.group_norm(channels_first(x), 3, n_weight, n_bias)), {"x": normal(2, 3, 4, 6)}, affine)
case("instance_norm", "let n = instance_norm()\n  output y = n(x)", lambda x, n_weight, n_bias: back(F.instance_norm(channels_first(x), weight=n_weight, bias=n_bias)), {"x": normal(2, 3, 4, 6)}, affine)
case("rms_norm", "let n = rms_norm()\n  output y = n(x)", lambda x, n_weight: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * n_weight, {"x": normal(2, 4, 6)}, {"n.weight": normal(6)})
case("embedding", "let e = embedding(5, 3)\n  output y = e(x)", lambda x, e_weight: F.embedding(x, e_weight), {"x": np.array([[0, 4, 2], [4, 4, 1]])}, {"e.weight": normal(5, 3)})
case("positional_embedding", "let e = positional_embedding(6)\n  output y = e(x)", lambda x, e_weight: x + e_weight[:4], {"x": normal(2, 4, 3)}, {"e.weight": normal(6, 3)})
case("prelu", "let p = prelu()\n  output y = p(x)", lambda x, p_slope: back(F.prelu(channels_first(x), p_slope)), {"x": normal(2, 4, 3)}, {"p.slope": normal(3)})

# ---- Pooling and resolution -----------------------------------------------------------------------------------------------

image, sequence = {"x": normal(2, 6, 7, 3)}, {"x": normal(2, 7, 3)}
case("max_pool1d", "x |> max_pool1d(3, stride = 2)", lambda x: back(F.max_pool1d(channels_first(x), 3, 2)), sequence)
case("max_pool2d", "x |> max_pool2d(2)", lambda x: back(F.max_pool2d(channels_first(x), 2)), image)
case("max_pool2d padded", "x |> max_pool2d(3, stride = 2, padding = 1)", lambda x: back(F.max_pool2d(channels_first(x), 3, 2, 1)), image)
case("avg_pool1d padded", "x |> avg_pool1d(3, stride = 1, padding = 1)", lambda x: back(F.avg_pool1d(channels_first(x), 3, 1, 1, count_include_pad=False)), sequence)
case("avg_pool2d", "x |> avg_pool2d((2, 3))", lambda x: back(F.avg_pool2d(channels_first(x), (2, 3))), image)
case("avg_pool2d padded", "x |> avg_pool2d(3, stride = 2, padding = 1)", lambda x: back(F.avg_pool2d(channels_first(x), 3, 2, 1, count_include_pad=False)), image)
case("global_avg_pool", "x |> global_avg_pool", lambda x: x.mean((1, 2)), image)
case("global_max_pool", "x |> global_max_pool", lambda x: x.amax((1, 2)), image)
case("adaptive_avg_pool2d", "x |> adaptive_avg_pool2d((4, 3))", lambda x: back(F.adaptive_avg_pool2d(channels_first(x), (4, 3))), image)
for size in ((12, 14), (4, 9), (3, 20)):
    case(f"resize nearest to {size}", f"x |> resize({size})", lambda x: back(F.interpolate(channels_first(x), size, mode="nearest-exact")), image)
    case(f"resize bilinear to {size}", f"x |> resize({size}, bilinear)", lambda x: back(F.interpolate(channels_first(x), size, mode="bilinear", align_corners=False)), image)

# ---- Activations ------------------------------------------------------------------------------------------------------------

points = {"x": np.array([-30, -3.5, -2.75, -1.25, -0.3, -1e-3, 1e-3, 0.3, 1.25, 2.75, 3.5, 30.0]).reshape(3, 4)}
for text, function in {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "leaky_relu(slope = 0.2)": lambda x: F.leaky_relu(x, 0.2), "elu": F.elu, "elu(alpha = 0.5)": lambda x: F.elu(x, 0.5),
    "selu": F.selu, "celu(alpha = 2)": lambda x: F.celu(x, 2), "gelu": F.gelu, "gelu(approximate = tanh)": lambda x: F.gelu(x, approximate="tanh"), "swish": F.silu,
    "silu(beta = 1.5)": lambda x: x * torch.sigmoid(1.5 * x), "mish": F.mish, "softplus": lambda x: F.softplus(x, threshold=40), "softsign": F.softsign, "hard_sigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),  # F.hardsigmoid has 1/6 in float32
   
    "hard_swish": F.hardswish, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softmax": lambda x: F.softmax(x, -1), "softmax(axis = 0)": lambda x: F.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, -1), "glu": lambda x: F.glu(x, -1), "swiglu": lambda x: F.silu(x[:, :2]) * x[:, 2:], "logsumexp(axis = 1)": lambda x: torch.logsumexp(x, 1),
    "erf": torch.erf, "norm(axis = 0)": lambda x: x.norm(dim=0), "var(axis = 1)": lambda x: x.var(1, unbiased=False), "std(axis = 1)": lambda x: x.std(1, unbiased=False),
}.items():
    case(text, f"x |> {text}", lambda x: function(x), points)

# ---- Losses -------------------------------------------------------------------------------------------------------------------

logits, probabilities = normal(5, 4) * 3, F.softmax(torch.tensor(normal(5, 4)), -1).numpy()
labels = np.array([0, 3, 2, 1, 3])
ROW = {"mean": lambda e, w: (e * w).sum() / w.sum(), "sum": lambda e, w: (e * w).sum(), "none": lambda e, w: e * w}


def loss(name, signature, each, inputs, options="", weights=True):
    """each(inputs) gives the loss of each row or element; all reductions, with and without weights."""
    names = ", ".join(inputs)
    for reduction in ROW:
        case(f"{name} {options} {reduction}".replace("  ", " "), f"{signature}({names}{options and ', ' + options}, reduction = {reduction})",
             lambda **t: ROW[reduction](each(**t), torch.ones_like(each(**t))), inputs)
    if weights:
        count = each(**{k: torch.tensor(v) for k, v in inputs.items()}).shape
        case(f"{name} {options} weighted".replace("  ", " "), f"{signature}({names}{options and ', ' + options}, weight = w)",
             lambda w, **t: ROW["mean"](each(**t), w), {**inputs, "w": 0.5 + RNG.random(count)})


loss("cross_entropy", "cross_entropy", lambda z, y: F.cross_entropy(z, y, reduction="none"), {"z": logits, "y": labels})
loss("cross_entropy", "cross_entropy", lambda z, y: F.cross_entropy(z, y, reduction="none", label_smoothing=0.1), {"z": logits, "y": labels}, "smoothing = 0.1")
loss("cross_entropy of probabilities", "cross_entropy", lambda z, p: F.cross_entropy(z, p, reduction="none"), {"z": logits, "p": probabilities}, weights=False)
case("cross_entropy ignoring", "cross_entropy(z, y, ignore = 3)", lambda z, y: F.cross_entropy(z, y, ignore_index=3), {"z": logits, "y": labels})
loss("nll", "nll", lambda q, y: F.nll_loss(q, y, reduction="none"), {"q": np.log(probabilities), "y": labels})
pairs = {"p": normal(4, 3), "y": normal(4, 3)}
loss("mse", "mse", lambda p, y: F.mse_loss(p, y, reduction="none"), pairs)
loss("mae", "mae", lambda p, y: F.l1_loss(p, y, reduction="none"), pairs)
loss("huber", "huber", lambda p, y: F.huber_loss(p, y, reduction="none", delta=0.7), pairs, "delta = 0.7")
loss("bce_with_logits", "bce_with_logits", lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"), {"z": normal(4, 3) * 5, "y": RNG.random((4, 3))})
loss("bce", "bce", lambda p, y: F.binary_cross_entropy(p, y, reduction="none"), {"p": RNG.random((4, 3)), "y": RNG.random((4, 3))})
loss("kl_div", "kl_div", lambda q, p: F.kl_div(q, p, reduction="none"), {"q": np.log(probabilities), "p": probabilities[::-1].copy()})
loss("hinge", "hinge", lambda p, y: F.relu(1 - p * y), {"p": normal(4, 3), "y": np.sign(normal(4, 3))})
loss("cosine_similarity_loss", "cosine_similarity_loss", lambda p, y: 1 - F.cosine_similarity(p, y, -1), pairs)
loss("triplet", "triplet", lambda a, p, n: F.triplet_margin_loss(a, p, n, 0.5, eps=0, reduction="none"), {"a": normal(4, 3), "p": normal(4, 3), "n": normal(4, 3)}, "margin = 0.5")

# ---- Patterns -------------------------------------------------------------------------------------------------------------------

for pattern, shapes in {"bij,bjk->bik": ((2, 3, 4), (2, 4, 5)), "bij,bkj->kbi": ((2, 3, 4), (2, 5, 4)), "iij,j->ji": ((3, 3, 4), (4,)), "...ij,jk->...ik": ((2, 2, 3, 4), (4, 5)), "i,j->ij": ((3,), (4,)), "ij,kl,jk->il": ((2, 3), (4, 5), (3, 4))}.items():
    inputs = {f"x{i}": normal(*s) for i, s in enumerate(shapes)}
    case(f"einsum {pattern}", f'einsum("{pattern}", {", ".join(inputs)})', lambda **t: torch.einsum(pattern, *t.values()), inputs)
case("scatter_add", "scatter_add(x, i, u)", lambda x, i, u: x.index_add(0, i, u), {"x": normal(4, 3), "i": np.array([2, 0, 2, 3]), "u": normal(4, 3)})

# ---- Attention --------------------------------------------------------------------------------------------------------------------

D = 6


def projections(prefix, q=D, kv=D, width=D):
    return {f"{prefix}.{n}.{p}": normal(*s) for n, i, o in (("wq", q, D), ("wk", kv, width), ("wv", kv, width), ("wo", D, q))
            for p, s in (("weight", (i, o)), ("bias", (o,)))}


def attend(q, k, v, allowed):
    """[B, h, T, e]: softmax by the paper; where nothing is allowed, zeros."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if allowed is None:
        return torch.softmax(scores, -1) @ v
    allowed = allowed.expand(scores.shape)
    scores = scores.masked_fill(~allowed, -torch.inf)
    shift = scores.amax(-1, keepdim=True).detach()
    e = torch.where(allowed, torch.exp(torch.where(allowed, scores - torch.where(shift.isinf(), torch.zeros_like(shift), shift), torch.zeros_like(scores))), torch.zeros_like(scores))
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total == 0, torch.ones_like(total), total) @ v


def rotate(x):
    """[B, h, T, e]: pairs (2i, 2i + 1) as complex numbers, Su et al. 2021."""
    t, e = x.shape[-2:]
    angle = torch.arange(t)[:, None] * 10000.0 ** (-2 * torch.arange(e // 2) / e)
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], e // 2, 2).contiguous()) * torch.polar(torch.ones_like(angle), angle)).reshape(x.shape)


def attention(prefix, x, source, params, heads, groups, allowed=None, rope=False):
    g = lambda n: params[f"{prefix}_{n}"]
    split = lambda t, h: t.reshape(t.shape[0], t.shape[1], h, -1).transpose(1, 2)
    q, k, v = (split(s @ g(n + "_weight") + g(n + "_bias"), h) for s, n, h in ((x, "wq", heads), (source, "wk", groups), (source, "wv", groups)))
    if rope:
        q, k = rotate(q), rotate(k)
    k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
    y = attend(q, k, v, allowed).transpose(1, 2).reshape(x.shape)
    return y @ g("wo_weight") + g("wo_bias")


def causal(t):
    return torch.ones(t, t, dtype=torch.bool).tril()


sequences = normal(2, 4, D)
case("attention", "let a = attention(3)\n  output y = a(x)", lambda x, **p: attention("a", x, x, p, 3, 3), {"x": sequences}, projections("a"))
case("attention against nn.MultiheadAttention", "let a = attention(2)\n  output y = a(x)",
     lambda x, **p: F.multi_head_attention_forward(x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1), D, 2, None, torch.cat([p["a_wq_bias"], p["a_wk_bias"], p["a_wv_bias"]]), None, None, False, 0.0,
                                                   p["a_wo_weight"].T, p["a_wo_bias"], use_separate_proj_weight=True, q_proj_weight=p["a_wq_weight"].T, k_proj_weight=p["a_wk_weight"].T,
                                                   v_proj_weight=p["a_wv_weight"].T)[0].transpose(0, 1), {"x": sequences}, projections("a"))
case("attention causal", "let a = attention(2, causal = true)\n  output y = a(x)", lambda x, **p: attention("a", x, x, p, 2, 2, causal(4)), {"x": sequences}, projections("a"))
case("attention of shared heads", "let a = attention(6, kv_heads = 2)\n  output y = a(x)", lambda x, **p: attention("a", x, x, p, 6, 2), {"x": sequences}, projections("a", width=2))
case("attention of one shared head, causal", "let a = attention(3, causal = true, kv_heads = 1)\n  output y = a(x)", lambda x, **p: attention("a", x, x, p, 3, 1, causal(4)), {"x": sequences}, projections("a", width=2))
case("attention to another sequence", "let a = attention(2)\n  output y = (x, s) |> a", lambda x, s, **p: attention("a", x, s, p, 2, 2), {"x": sequences, "s": normal(2, 5, 3)}, projections("a", kv=3))
rows = np.array([[1, 1, 0, 1], [0, 0, 0, 0]])
case("attention with padding, a row of it all", "let a = attention(2)\n  output y = a(x, mask = m > 0)", lambda x, m, **p: attention("a", x, x, p, 2, 2, (m > 0)[:, None, None, :]), {"x": sequences, "m": rows}, projections("a"))
case("attention with a mask of pairs, causal", "let a = attention(2, causal = true)\n  output y = a(x, mask = m > 0)", lambda x, m, **p: attention("a", x, x, p, 2, 2, (m > 0)[:, None] & causal(4)),
     {"x": sequences, "m": RNG.integers(0, 2, (2, 4, 4))}, projections("a"))
case("attention of shared heads with a mask", "let a = attention(6, kv_heads = 2)\n  output y = a(x, mask = m > 0)", lambda x, m, **p: attention("a", x, x, p, 6, 2, m > 0), {"x": sequences, "m": RNG.integers(0, 2, (2, 6, 4, 4))}, projections("a", width=2))
case("attention with rotated positions", "let a = attention(3, causal = true, rope = true)\n  output y = a(x)", lambda x, **p: attention("a", x, x, p, 3, 3, causal(4), True), {"x": sequences}, projections("a"))
case("rope", "x |> rope()", lambda x: rotate(x), {"x": normal(2, 3, 5, 4)})


def block(x, p, prefix, heads, allowed, activation, norm):
    g = lambda n: p[f"{prefix}_{n}"]
    x = x + attention(f"{prefix}_attn", norm(x, 0), norm(x, 0), p, heads, heads, allowed)
    return x + activation(norm(x, 1) @ g("up_weight") + g("up_bias")) @ g("down_weight") + g("down_bias")


def block_parameters(hidden, norms):
    return {**projections("b.attn"), "b.up.weight": normal(D, hidden), "b.up.bias": normal(hidden), "b.down.weight": normal(hidden, D), "b.down.bias": normal(D), **norms}


case("transformer_block", "let b = transformer_block(2, causal = true)\n  output y = b(x)",
     lambda x, **p: block(x, p, "b", 2, causal(4), F.gelu, lambda h, i: F.layer_norm(h, (D,), p[f"b_norm_{i}_weight"], p[f"b_norm_{i}_bias"])),
     {"x": sequences}, block_parameters(4 * D, {f"b.norm_{i}.{p}": normal(D) for i in (0, 1) for p in ("weight", "bias")}))
case("transformer_block with other parts", "let b = transformer_block(3, mlp = 2, norm = rms_norm(), activation = swish)\n  output y = b(x, mask = m > 0)",
     lambda x, m, **p: block(x, p, "b", 3, (m > 0)[:, None, None, :], F.silu, lambda h, i: h / torch.sqrt((h * h).mean(-1, keepdim=True) + 1e-5) * p[f"b_norm_{i}_weight"]),
     {"x": sequences, "m": rows}, block_parameters(2 * D, {f"b.norm_{i}.weight": normal(D) for i in (0, 1)}))

# ---- Graph networks ---------------------------------------------------------------------------------------------------------------

edges = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [3, 2], [0, 2], [2, 2]])
nodes = normal(5, 3)


def adjacency(edges, n):
    """a[i, j] counts the edges j to i, and every node is its own neighbour."""
    a = torch.eye(n)
    for j, i in edges.tolist():
        a[i, j] += 1
    return a


def graph_conv(x, e, g_weight, g_bias):
    a = adjacency(e, x.shape[0])
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale @ (x @ g_weight) + g_bias


def graph_attention(heads, concat=True):
    def run(x, e, g_weight, g_source, g_target, g_bias):
        n = x.shape[0]
        z = (x @ g_weight).reshape(n, heads, -1)
        count = adjacency(e, n)
        logit = F.leaky_relu((z * g_target).sum(-1)[:, None] + (z * g_source).sum(-1)[None], 0.2)
        weight = count[:, :, None] * torch.exp(logit - logit.amax(1, keepdim=True))
        y = torch.einsum("ijh,jhe->ihe", weight / weight.sum(1, keepdim=True), z)
        return (y.reshape(n, -1) if concat else y.mean(1)) + g_bias
    return run


case("graph_conv", "let g = graph_conv(4)\n  output y = (x, e) |> g", graph_conv, {"x": nodes, "e": edges}, {"g.weight": normal(3, 4), "g.bias": normal(4)})
case("graph_attention", "let g = graph_attention(4, 2)\n  output y = (x, e) |> g", graph_attention(2), {"x": nodes, "e": edges},
     {"g.weight": normal(3, 8), "g.source": normal(2, 4), "g.target": normal(2, 4), "g.bias": normal(8)})
case("graph_attention of far logits, averaged", "let g = graph_attention(4, 2, concat = false)\n  output y = (x, e) |> g", graph_attention(2, False), {"x": nodes, "e": edges},
     {"g.weight": normal(3, 8), "g.source": 40 * normal(2, 4), "g.target": normal(2, 4), "g.bias": normal(4)})
case("message_passing", "let g = message_passing(dense(4) |> tanh)\n  output y = (x, e) |> g",
     lambda x, e, g_dense_0_weight, g_dense_0_bias: torch.zeros(5, 4).index_add(0, e[:, 1], torch.tanh(torch.cat([x[e[:, 1]], x[e[:, 0]]], 1) @ g_dense_0_weight + g_dense_0_bias)),
     {"x": nodes, "e": edges}, {"g.dense_0.weight": normal(6, 4), "g.dense_0.bias": normal(4)})

# ---- Recurrent layers ---------------------------------------------------------------------------------------------------


def recurrent(kind, layers=1, bidirectional=False, reverse=False):
    """PyTorch's, in one call over all layers and directions; of its two biases all but the GRU have one here."""
    function = {"rnn": torch._VF.rnn_tanh, "lstm": torch._VF.lstm, "gru": torch._VF.gru}[kind]

    def run(x, n=None, h=None, c=None, **params):
        weights, names = [], {k.replace("r_", "", 1): v for k, v in params.items()}
        for layer in range(layers):
            for way in ("", "backward_")[:2 if bidirectional else 1]:
                prefix = (f"layers[{layer}]_" if layers > 1 else "") + way
                bias = names[prefix + "bias"]
                weights += [names[prefix + "kernel"].T, names[prefix + "recurrent"].T, bias, names.get(prefix + "recurrent_bias", torch.zeros_like(bias))]
        size = weights[1].shape[1]
        zeros = torch.zeros(layers * (2 if bidirectional else 1), x.shape[0], size)
        wide = lambda s: zeros if s is None else s if s.dim() == 3 else s[None]
        state = (wide(h), wide(c)) if kind == "lstm" else wide(h)
        x = x.flip(1) if reverse else x
        if n is None:
            y, *after = function(x, state, weights, True, layers, 0.0, False, bidirectional, True)
        else:
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            order = lambda s: s.index_select(1, packed.sorted_indices)
            state = tuple(order(s) for s in state) if kind == "lstm" else order(state)
            y, *after = function(packed.data, packed.batch_sizes, state, weights, True, layers, 0.0, False, bidirectional)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed._replace(data=y), batch_first=True, total_length=x.shape[1])
            after = [s.index_select(1, packed.unsorted_indices) for s in after]
        y = y.flip(1) if reverse else y
        return torch.cat([y.reshape(-1)] + [s.reshape(-1) for s in after])
    return run


def recurrent_case(name, kind, options="", apply="r(x)", inputs=None, size=4, **given):
    gates, features = {"rnn": 1, "lstm": 4, "gru": 3}[kind], 3
    params, layers = {}, given.get("layers", 1)
    ways = 2 if given.get("bidirectional") else 1
    for layer in range(layers):
        for way in ("", "backward.")[:ways]:
            prefix = "r." + (f"layers[{layer}]." if layers > 1 else "") + way
            params[prefix + "kernel"] = 0.5 * normal(features if layer == 0 else ways * size, gates * size)
            params[prefix + "recurrent"] = 0.5 * normal(size, gates * size)
            params[prefix + "bias"] = 0.5 * normal(gates * size)
            if kind == "gru":
                params[prefix + "recurrent_bias"] = 0.5 * normal(gates * size)
    parts = ["y", "a", "b"] if kind == "lstm" else ["y", "a"]
    flat = ", ".join(f"reshape({p}, [-1])" for p in parts)
    case(name, f"let r = {kind}({size}{options}, return_state = true)\n  let ({', '.join(parts)}) = {apply}\n  output out = concat([{flat}])",
         recurrent(kind, **given), {"x": normal(3, 5, features), **(inputs or {})}, params)


LENGTHS = np.array([5, 2, 3])
for kind in ("rnn", "lstm", "gru"):
    recurrent_case(kind, kind)
    recurrent_case(f"{kind} in reverse", kind, ", reverse = true", reverse=True)
    recurrent_case(f"{kind} both ways", kind, ", bidirectional = true", bidirectional=True)
    recurrent_case(f"{kind} of two layers both ways with lengths", kind, ", layers = 2, bidirectional = true", "r(x, lengths = n)", {"n": LENGTHS}, layers=2, bidirectional=True)
recurrent_case("rnn from a state with lengths", "rnn", "", "r(x, state = h, lengths = n)", {"h": normal(3, 4), "n": LENGTHS})
recurrent_case("lstm from a state", "lstm", "", "r(x, state = (h, c))", {"h": normal(3, 4), "c": normal(3, 4)})
recurrent_case("gru of two layers from a state", "gru", ", layers = 2", "r(x, state = h)", {"h": normal(2, 3, 4)}, layers=2)

# ---- Positions, layers made of layers ------------------------------------------------------------------------------------


def sinusoids(t, d):
    """Vaswani et al. 2017, section 3.5."""
    angle = torch.arange(t)[:, None] / 10000 ** (2 * torch.arange(d // 2) / d)
    return torch.stack([angle.sin(), angle.cos()], -1).reshape(t, d)


case("sinusoidal_positions", "x |> sinusoidal_positions()", lambda x: x + sinusoids(5, 6), {"x": normal(2, 5, 6)})
linear = {"d.weight": normal(3, 3), "d.bias": normal(3)}
line = lambda x, d_weight, d_bias: x @ d_weight + d_bias
case("residual", "let d = dense(3)\n  output y = x |> residual(d)", lambda x, **p: x + line(x, **p), {"x": normal(4, 3)}, linear)
case("residual that starts at zero", "let d = dense(3)\n  let r = residual(d, zero = true)\n  output y = r(x)", lambda x, d_weight, d_bias, r_scale: x + r_scale * line(x, d_weight, d_bias), {"x": normal(4, 3)}, {**linear, "r.scale": normal()})
case("time_distributed", "let c = conv2d(2, 3)\n  output y = x |> time_distributed(c)",
     lambda x, c_weight, c_bias: convolution(2)(x.flatten(0, 1), c_weight, c_bias).reshape(2, 3, 4, 5, 2), {"x": normal(2, 3, 4, 5, 3)}, {"c.weight": normal(3, 3, 3, 2), "c.bias": normal(2)})
case("vmap", "let d = dense(3)\n  output y = x |> vmap(v => softmax(tanh(d(v))), axis = 1)", lambda x, **p: F.softmax(torch.tanh(line(x, **p)), -1).transpose(0, 1), {"x": normal(4, 5, 3)}, linear)
case("vmap of a gradient", "x |> vmap(v => grad(sum(v ** 3), v), axis = 0)", lambda x: 3 * x ** 2, {"x": normal(4, 3)})
case("chain", "let d = dense(3)\n  output y = x |> chain(d, tanh, d)", lambda x, **p: line(torch.tanh(line(x, **p)), **p), {"x": normal(4, 3)}, linear)
case("repeat", "let d = dense(3)\n  output y = x |> repeat(3, d |> tanh)", lambda x, **p: torch.tanh(line(torch.tanh(line(torch.tanh(line(x, **p)), **p)), **p)), {"x": normal(4, 3)}, linear)
case("parallel", "let d = dense(3)\n  let (a, b) = x |> parallel(d, tanh)\n  output y = a * b", lambda x, **p: line(x, **p) * torch.tanh(x), {"x": normal(4, 3)}, linear)
case("checkpoint", "let d = dense(3)\n  output y = x |> checkpoint(d |> tanh)", lambda x, **p: torch.tanh(line(x, **p)), {"x": normal(4, 3)}, linear)
case("frozen", "let d = dense(3)\n  output y = d(x) * (x |> frozen(d))", lambda x, d_weight, d_bias: line(x, d_weight, d_bias) * line(x, d_weight.detach(), d_bias.detach()), {"x": normal(4, 3)}, linear)
for text in ("no_decay(d)", "lr_scale(d, 0.1)"):
    case(text, f"let d = dense(3)\n  output y = x |> {text}", line, {"x": normal(4, 3)}, linear)

# ---- Random draws ---------------------------------------------------------------------------------------------------------


def philox(key, counter):
    """Philox4x32-10 (Salmon et al. 2011)."""
    word, k0, k1 = list(counter), key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * word[0], 0xCD9E8D57 * word[2]
        word = [(p1 >> 32) ^ word[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ word[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return word


def fold(key, data):
    w = philox(key, [data & 0xFFFFFFFF, data >> 32, 1, 0])
    return w[0] | w[1] << 32


def key_of(place, seed=7, step=3):
    """FNV-1a of the place, folded into seed and step."""
    h = 14695981039346656037
    for c in place:
        h = (h ^ ord(c)) * 1099511628211 % 2 ** 64
    return fold(fold(seed, step), fold(h >> 32, h & 0xFFFFFFFF))


def bits(key, *shape):
    n = int(np.prod(shape))
    return torch.tensor([philox(key, [i >> 2, 0, 0, 0])[i & 3] >> 8 for i in range(n)]).reshape(shape)


def uniform(key, *shape):
    return bits(key, *shape) * 2.0 ** -24


def gauss(key, *shape):
    return torch.sqrt(-2 * torch.log((bits(fold(key, 0), *shape) + 1) * 2.0 ** -24)) * torch.cos(2 * math.pi * uniform(fold(key, 1), *shape))


HERE_DRAWS = "#0#0"  # the first draw of the model's own body
for training in (True, False):
    how = "training" if training else "evaluation"
    case(f"dropout in {how}", "x |> dropout(0.4)", lambda x: torch.where(uniform(key_of("dropout_0#0#0"), 5, 7) >= 0.4, x / 0.6, 0 * x) if training else x, {"x": normal(5, 7)}, training=training)
    case(f"drop_path in {how}", "x |> drop_path(0.4)", lambda x: torch.where(uniform(key_of("drop_path_0#0#0"), 9, 1) >= 0.4, x / 0.6, 0 * x) if training else x, {"x": normal(9, 3)}, training=training)
case("random.uniform", "x * random.uniform([3, 5], lo = -1, hi = 3)", lambda x: x * (4 * uniform(key_of(HERE_DRAWS), 3, 5) - 1), {"x": normal(3, 5)})
case("random.normal", "x * random.normal([3, 5], mean = 2, std = 0.5)", lambda x: x * (2 + 0.5 * gauss(key_of(HERE_DRAWS), 3, 5)), {"x": normal(3, 5)})
case("random.bernoulli", "x * random.bernoulli([3, 5], p = 0.3)", lambda x: x * (uniform(key_of(HERE_DRAWS), 3, 5) < 0.3), {"x": normal(3, 5)})
case("random.categorical", "random.categorical(x)", lambda x: (x - torch.log(-torch.log((bits(key_of(HERE_DRAWS), 6, 4) + 0.5) * 2.0 ** -24))).argmax(-1), {"x": normal(6, 4)})
case("random.permutation", "x[random.permutation(8)]", lambda x: x[(bits(fold(key_of(HERE_DRAWS), 0), 8) * 2 ** 24 + bits(fold(key_of(HERE_DRAWS), 1), 8)).argsort()], {"x": normal(8, 2)})

# ---- Penalties, alignment ---------------------------------------------------------------------------------------------------

case("l1", "let d = dense(3)\n  let h = d(x)\n  output y = sum(h) + l1(params(d))", lambda x, d_weight, d_bias: line(x, d_weight, d_bias).sum() + d_weight.abs().sum() + d_bias.abs().sum(), {"x": normal(4, 3)}, linear)
case("l2", "let d = dense(3)\n  let h = d(x)\n  output y = sum(h) + l2(params(d))", lambda x, d_weight, d_bias: line(x, d_weight, d_bias).sum() + (d_weight ** 2).sum() + (d_bias ** 2).sum(), {"x": normal(4, 3)}, linear)
spoken = {"z": normal(3, 6, 5), "y": np.array([[1, 1, 3], [2, 4, 1], [3, 2, 2]]), "n": np.array([6, 5, 6]), "m": np.array([3, 2, 1])}
aligned = lambda z, y, n, m: F.ctc_loss(F.log_softmax(z, -1).transpose(0, 1), y, n, m, reduction="none")
for reduction in ("sum", "none", "mean"):
    case(f"ctc {reduction}", f"ctc(z, y, lengths = n, label_lengths = m, reduction = {reduction})", lambda **t: aligned(**t).mean() if reduction == "mean" else aligned(**t).sum() if reduction == "sum" else aligned(**t), spoken)

# ---- Metrics, by counting ---------------------------------------------------------------------------------------------------

seen, named = normal(40, 4), RNG.integers(0, 4, 40)
scores, sides = np.round(normal(40), 1), RNG.integers(0, 2, 40).astype(float)


def figure(name, text, count, inputs):
    case(name, text, lambda **t: torch.tensor(np.asarray(float(count(*[v.detach().numpy() for v in t.values()])))), inputs)


def counts(z, y):
    called = z.argmax(1)
    return [(np.sum((called == k) & (y == k)), np.sum(called == k), np.sum(y == k)) for k in range(z.shape[1])]


classes, binary, regression = {"z": seen, "y": named}, {"s": scores, "b": sides}, {"p": normal(20, 2), "t": normal(20, 2)}
figure("accuracy", "accuracy(z, y)", lambda z, y: np.mean(z.argmax(1) == y), classes)
figure("accuracy of two", "accuracy(s, b)", lambda s, b: np.mean((s > 0) == (b > 0.5)), binary)
figure("top_k_accuracy", "top_k_accuracy(z, y, k = 2)", lambda z, y: np.mean([y[i] in np.argsort(-z[i], kind="stable")[:2] for i in range(len(y))]), classes)
figure("precision", "precision(z, y)", lambda z, y: np.mean([tp / called for tp, called, _ in counts(z, y)]), classes)
figure("precision of all", "precision(z, y, average = micro)", lambda z, y: np.mean(z.argmax(1) == y), classes)
figure("recall", "recall(z, y)", lambda z, y: np.mean([tp / actual for tp, _, actual in counts(z, y)]), classes)
figure("f1", "f1(z, y)", lambda z, y: np.mean([2 * tp / (called + actual) for tp, called, actual in counts(z, y)]), classes)
figure("f1 of two", "f1(s, b)", lambda s, b: 2 * np.sum((s > 0) & (b > 0.5)) / (np.sum(s > 0) + np.sum(b > 0.5)), binary)
figure("auc", "auc(s, b)", lambda s, b: np.mean([(p > n) + 0.5 * (p == n) for p in s[b > 0.5] for n in s[b < 0.5]]), binary)
case("confusion_matrix", "confusion_matrix(z, y)", lambda z, y: torch.tensor([[int(((z.argmax(1) == j) & (y == i)).sum()) for j in range(4)] for i in range(4)]), classes)
case("perplexity", "perplexity(z, y)", lambda z, y: F.cross_entropy(z, y).exp(), classes)
case("r2", "r2(p, t)", lambda p, t: 1 - ((t - p) ** 2).sum() / ((t - t.mean(0)) ** 2).sum(), regression)
case("pooled", "sqrt(mean(pooled((p - t) ** 2)))", lambda p, t: ((p - t) ** 2).mean().sqrt(), regression)

# ---- Functions ------------------------------------------------------------------------------------------------------------------

some, positive, matrix = {"x": normal(3, 4)}, {"x": 0.2 + RNG.random((3, 4))}, {"x": normal(3, 4), "z": normal(3, 4)}
odd = {"x": np.array([[1.5, -2.5, np.inf], [np.nan, 0.5, -np.inf]])}
at = np.array([[0, 3], [2, 2], [1, 0]])
for text, (function, given) in {
    "abs(x)": (torch.abs, some), "exp(x)": (torch.exp, some), "expm1(x)": (torch.expm1, some), "log(x)": (torch.log, positive), "log1p(x)": (torch.log1p, positive), "sqrt(x)": (torch.sqrt, positive),
    "rsqrt(x)": (torch.rsqrt, positive), "square(x)": (torch.square, some), "sin(x)": (torch.sin, some), "cos(x)": (torch.cos, some), "tan(x)": (torch.tan, some), "pow(x, z)": (torch.pow, {**positive, "z": normal(3, 4)}),
    "x ** 3": (lambda x: x ** 3, some), "sign(x)": (torch.sign, some), "floor(3 * x)": (lambda x: torch.floor(3 * x), some), "ceil(3 * x)": (lambda x: torch.ceil(3 * x), some), "round(2 * x)": (lambda x: torch.round(2 * x), {"x": np.array([0.25, 0.75, 1.3, -1.25])}),
    "is_nan(x)": (torch.isnan, odd), "is_finite(x)": (torch.isfinite, odd), "maximum(x, z)": (torch.maximum, matrix), "minimum(x, z)": (torch.minimum, matrix), "clamp(x, min = -0.5, max = 1)": (lambda x: x.clamp(-0.5, 1), some),
    "where(x > z, x, 2 * z)": (lambda x, z: torch.where(x > z, x, 2 * z), matrix), "masked_fill(x, z > 0, 7)": (lambda x, z: x.masked_fill(z > 0, 7), matrix),
    "sum(x, axis = 1)": (lambda x: x.sum(1), some), "mean(x)": (torch.mean, some), "prod(x, axis = 0)": (lambda x: x.prod(0), some), "max(x, axis = 1, keep = true)": (lambda x: x.amax(1, keepdim=True), some), "min(x)": (torch.min, some),
    "argmax(x)": (lambda x: x.argmax(-1), some), "argmin(x, axis = 0)": (lambda x: x.argmin(0), some), "any(x > 0.5, axis = 1)": (lambda x: (x > 0.5).any(1), some), "all(x > -0.5, axis = 0)": (lambda x: (x > -0.5).all(0), some),
    "cumsum(x)": (lambda x: x.cumsum(-1), some), "cumsum(x, axis = 0)": (lambda x: x.cumsum(0), some), "cumprod(x)": (lambda x: x.cumprod(-1), {"x": np.array([[2.0, 0, -1.5, 3], [0.5, 2, -1, 0.25]])}),
    "matmul(x, z)": (torch.matmul, {"x": normal(2, 3, 4), "z": normal(4, 5)}), "x @ z": (torch.matmul, {"x": normal(3, 4), "z": normal(4)}), "outer(x, z)": (torch.outer, {"x": normal(3), "z": normal(4)}),
    "reshape(x, [2, 6])": (lambda x: x.reshape(2, 6), some), "transpose(x)": (lambda x: x.T, some), "swapaxes(x, 0, 2)": (lambda x: x.swapaxes(0, 2), {"x": normal(2, 3, 4)}), "squeeze(x, 1)": (lambda x: x.squeeze(1), {"x": normal(3, 1, 2)}),
    "expand_dims(x, 1)": (lambda x: x.unsqueeze(1), some), "broadcast_to(x, [2, 3, 4])": (lambda x: x.broadcast_to(2, 3, 4), some), "flatten(x)": (lambda x: x.flatten(1), {"x": normal(2, 3, 4)}),
    "concat([x, z], axis = 1)": (lambda x, z: torch.cat([x, z], 1), matrix), "stack([x, z], axis = 1)": (lambda x, z: torch.stack([x, z], 1), matrix), "flip(x, axis = 1)": (lambda x: x.flip(1), some), "roll(x, 3, axis = 1)": (lambda x: x.roll(3, 1), some),
    "pad(x, ((1, 0), (0, 2)), value = 0.5)": (lambda x: F.pad(x, (0, 2, 1, 0), value=0.5), some), "slice(x, 1, 4, axis = 1, step = 2)": (lambda x: x[:, 1:4:2], some), "x[1:, ::2]": (lambda x: x[1:, ::2], some),
    "gather(x, i, axis = 1)": (lambda x, i: x.gather(1, i), {**some, "i": at}), "take(x, i, axis = 1)": (lambda x, i: x[:, i], {**some, "i": at}), "one_hot(i, 4) * x": (lambda i, x: F.one_hot(i, 4) * x, {"i": np.array([1, 3, 0]), **some}),
    "dynamic_slice(x, i, 2, axis = 1)": (lambda x, i: x[:, 1:3], {**some, "i": np.array(1)}), "dynamic_update_slice(x, z, i, axis = 1)": (lambda x, z, i: torch.cat([x[:, :1], z, x[:, 3:]], 1), {**some, "z": normal(3, 2), "i": np.array(1)}),
    "sort(x)": (lambda x: x.sort(-1).values, some), "sort(x, axis = 0, descending = true)": (lambda x: x.sort(0, descending=True).values, some), "argsort(x)": (lambda x: x.argsort(-1), some),
    "tril(x, k = 1)": (lambda x: x.tril(1), some), "triu(x)": (torch.triu, some), "x * eye(3, 4)": (lambda x: x * torch.eye(3, 4), some), "x + zeros([3, 4]) + ones([4]) + full([3, 1], 2.5)": (lambda x: x + 3.5, some),
    "zeros_like(x) + 2 * ones_like(x)": (lambda x: 2 + 0 * x, some), "x * iota(4)": (lambda x: x * torch.arange(4), some), "cast(4 * x, to = int)": (lambda x: (4 * x).long(), some), "x * len([1, 2, 3]) + floor_div(-7, 2) + ceil_div(7, 2)": (lambda x: 3 * x, some),
    "x * stop_gradient(x)": (lambda x: x * x.detach(), some), "close(x, z, tol = 10) or close(x, z)": (lambda x, z: torch.tensor(True), matrix),
    'rearrange(x, "a (b c) -> c a b", c = 2)': (lambda x: x.reshape(3, 2, 2).permute(2, 0, 1), some), 'reduce(x, "a (b c) -> a b", mean, c = 2)': (lambda x: x.reshape(3, 2, 2).mean(2), some), 'reduce(x, "a b -> b", prod)': (lambda x: x.prod(0), some),
}.items():
    case(text, text if "output" in text else text, lambda **t: function(*t.values()), given)
case("split", "let (a, b) = split(x, [1, 3], axis = 1)\n  output y = a * b", lambda x: x[:, :1] * x[:, 1:], some)
case("top_k", "let (v, i) = top_k(x, 2)\n  output y = v * (1 + i)", lambda x: (lambda v, i: v * (1 + i))(*x.topk(2)), some)
case("scan", "let (s, ys) = scan(x, zeros([4]), (s, xt) => (tanh(s + xt), s * xt), axis = 0)\n  output y = sum(s) * ys", lambda x: (lambda a, b, c: torch.stack([0 * x[0], a * x[1], b * x[2]]) * c.sum())(
    torch.tanh(x[0]), torch.tanh(torch.tanh(x[0]) + x[1]), torch.tanh(torch.tanh(torch.tanh(x[0]) + x[1]) + x[2])), some)

# ---- One batch norm in two places: each batch has its own statistics, and the running ones take both in order -----------------


def siamese(x, z, n_weight, n_bias, n_mean, n_var):
    mean, var = n_mean.clone(), n_var.clone()
    a, b = (F.batch_norm(t, mean, var, n_weight, n_bias, True, 0.3) for t in (x, z))
    return a * b, {"n.mean": mean, "n.var": var}


case("batch_norm in a siamese net", "let n = batch_norm(momentum = 0.7)\n  output y = n(x) * n(z)", siamese, {"x": normal(6, 3), "z": normal(6, 3)}, {"n.weight": normal(3), "n.bias": normal(3)},
     {"n.mean": normal(3), "n.var": 0.5 + RNG.random(3)}, training=True)

os.makedirs(HERE, exist_ok=True)
with open(os.path.join(HERE, "layers.json"), "w") as f:
    json.dump(CASES, f, indent=1)
np.savez_compressed(os.path.join(HERE, "layers.npz"), **{k: v.astype(np.int64) if v.dtype.kind == "i" else v for k, v in ARRAYS.items()})
print(len(CASES), "cases", sum(v.nbytes for v in ARRAYS.values()), "bytes")
