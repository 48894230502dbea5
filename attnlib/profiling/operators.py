"""How each operator of a traced network is counted; an operator that is in none of the tables here is an error.

One rule for all of them:

* MACs are the multiply-adds of convolutions, linear maps and matrix products, however they are spelled. Adding a bias
  is not one of them.
* Everything else that computes (normalisation, pooling, activation, reduction, arithmetic) counts as elementwise work:
  one operation per element of the largest tensor that the call reads or writes. A mean over H and W therefore costs the
  same as a global average pool.
* What only moves, views or makes values counts nothing.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from math import prod

import torch


class UnknownOperatorError(ValueError):
    """An operator whose cost is not defined here; the message names it and the module it is in."""


Value = torch._C.Value
Counts = Counter[tuple[str, str]]  # ("macs" | "activations" | "elementwise", kind of operator) -> count


def shape(value: Value) -> tuple[int, ...] | None:
    """Shape of a traced tensor; None for a number, a list or an absent argument."""
    return tuple(value.type().sizes()) if value.isCompleteTensor() else None


def product(kind: str, macs: Callable[[list, tuple[int, ...]], int]) -> Callable[[list[Value], list[Value]], Counts]:
    """Handler of a matrix product: `macs` of the inputs and the output's shape, and the elements it writes."""

    def handle(inputs: list[Value], outputs: list[Value]) -> Counts:
        out = shape(outputs[0])
        return Counter({("macs", kind): macs(inputs, out), ("activations", kind): prod(out)})

    return handle


def elementwise(name: str) -> Callable[[list[Value], list[Value]], Counts]:
    """Handler of an operation that touches each element once, filed under its own name."""

    def handle(inputs: list[Value], outputs: list[Value]) -> Counts:
        shapes = [s for s in map(shape, inputs + outputs) if s is not None]
        # Tracing turns sizes into tensors of rank 0, so that `n * groups` in a view looks like arithmetic: not counted.
        work = max(map(prod, shapes)) if any(shapes) else 0
        return Counter({("elementwise", name): work})

    return handle


def convolution_macs(inputs: list[Value], out: tuple[int, ...]) -> int:
    """One multiply-add per output element and weight that reaches it; padding counts as any other input.

    A transposed convolution spreads each input element over its weights instead.
    """
    x, weight = shape(inputs[0]), shape(inputs[1])
    transposed = len(inputs) > 7 and inputs[6].toIValue()  # `_convolution_mode` (padding="same") is never transposed
    return prod(x if transposed else out) * prod(weight[1:])


def inner_macs(position: int) -> Callable[[list[Value], tuple[int, ...]], int]:
    """Multiply-adds of a (broadcast) matrix product whose left operand is argument `position`."""
    return lambda inputs, out: prod(out) * shape(inputs[position])[-1]


def attention(inputs: list[Value], outputs: list[Value]) -> Counts:
    """softmax(q k^T + mask) v: both products over every query-key pair (a causal mask saves nothing here), the softmax.

    The scores are never written, so they are no activation.
    """
    query, key, out = shape(inputs[0]), shape(inputs[1]), shape(outputs[0])
    pairs = prod(out[:-1]) * key[-2]
    counts = Counter(
        {
            ("macs", "attention"): pairs * (query[-1] + out[-1]),
            ("activations", "attention"): prod(out),
            ("elementwise", "softmax"): pairs,
        }
    )
    if shape(inputs[3]) is not None:
        counts["elementwise", "add"] = pairs
    return counts


def einsum(inputs: list[Value], outputs: list[Value]) -> Counts:
    """A contraction of two tensors is a matrix product; with nothing to contract it is arithmetic."""
    operands, out = [shape(value) for value in inputs[1].node().inputs()], shape(outputs[0])
    if len(operands) > 2:
        raise UnknownOperatorError(
            f"einsum of {len(operands)} tensors: its cost depends on the order of the products; write it in pairs"
        )
    equation, arrow, result = inputs[0].toIValue().replace(" ", "").partition("->")
    terms = equation.split(",")
    if arrow and "." in equation and "." not in result:
        raise UnknownOperatorError(f"einsum {equation}->{result} sums over its ellipsis; name those axes")
    # Without an arrow, what two terms share is summed over.
    contracted = set.intersection(*map(set, terms)) - set(result) - {"."} if len(terms) == 2 else set()
    if not contracted:
        return Counter({("elementwise", "einsum"): max(map(prod, [*operands, out]))})
    # Labels before an ellipsis count from the left, those after it from the right.
    before, _, after = terms[0].partition("...")
    left, right = dict(zip(before, operands[0])), dict(zip(reversed(after), reversed(operands[0])))  # noqa: B905
    size = left | right
    macs = prod(out) * prod(size[label] for label in contracted)
    return Counter({("macs", "matmul"): macs, ("activations", "matmul"): prod(out)})


PRODUCTS = {
    "_convolution": product("convolution", convolution_macs),
    "_convolution_mode": product("convolution", convolution_macs),
    "linear": product("linear", inner_macs(0)),
    "addmm": product("linear", inner_macs(1)),
    "baddbmm": product("matmul", inner_macs(1)),
    **{name: product("matmul", inner_macs(0)) for name in ("matmul", "mm", "bmm", "mv", "dot")},
    "scaled_dot_product_attention": attention,
    "einsum": einsum,
}

ELEMENTWISE = frozenset(
    # arithmetic and comparison
    "abs add addcdiv addcmul clamp clamp_max clamp_min cos div eq erf exp floor_divide ge gt le log log2 logical_and "
    "logical_not logical_or lt masked_fill maximum minimum mul ne neg pow reciprocal remainder round rsqrt rsub sign "
    "sin sqrt square sub where "
    # activation
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax mish prelu relu relu6 selu "
    "sigmoid silu softmax softplus tanh "
    # normalisation
    "batch_norm group_norm instance_norm layer_norm linalg_vector_norm local_response_norm norm rms_norm "
    # pooling and reduction
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d amax amin argmax argmin avg_pool1d avg_pool2d avg_pool3d col2im cumsum logsumexp max "
    "max_pool1d max_pool2d max_pool3d mean min prod std std_mean sum var var_mean "
    # resampling
    "grid_sampler upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d "
    "upsample_trilinear3d".split()
)

NOTHING = frozenset(
    # views and copies
    "alias broadcast_to cat channel_shuffle chunk clone constant_pad_nd contiguous copy detach expand expand_as "
    "flatten flip gather im2col index index_select masked_select movedim narrow pad permute pixel_shuffle "
    "pixel_unshuffle reflection_pad2d repeat repeat_interleave replication_pad2d reshape reshape_as roll select slice "
    "split split_with_sizes squeeze stack swapaxes t take_along_dim tile to transpose tril triu type_as unbind "
    "unflatten unfold unsqueeze view view_as "
    # look-ups and made values
    "arange bernoulli embedding empty empty_like eye full full_like linspace meshgrid new_empty new_full new_ones "
    "new_zeros ones ones_like rand_like randn_like scalar_tensor zeros zeros_like "
    # the identity in evaluation mode, in which every network is counted
    "alpha_dropout dropout dropout2d feature_dropout "
    # sizes
    "Float Int IntImplicit ScalarImplicit dim numel size".split()
)

# Bookkeeping of the trace itself. Control flow (prim::If, prim::Loop) and calls into scripted code are not here: what
# they hide would be missed.
BOOKKEEPING = frozenset(
    "Constant DictConstruct ImplicitTensorToNum ListConstruct ListUnpack NumToTensor TupleConstruct TupleUnpack".split()
)


@cache
def handlers() -> dict[str, Callable[[list[Value], list[Value]], Counts]]:
    """Every counted operator under its name in a trace; in-place forms count as the plain ones."""
    plain = PRODUCTS | {name: elementwise(name) for name in ELEMENTWISE}
    return {f"aten::{name}{suffix}": handle for name, handle in plain.items() for suffix in ("", "_")}


def counts_nothing(kind: str) -> bool:
    """Whether an operator of a trace, such as `aten::view` or `prim::Constant`, is known to compute nothing."""
    namespace, _, name = kind.partition("::")
    return name.removesuffix("_") in NOTHING if namespace == "aten" else name in BOOKKEEPING
