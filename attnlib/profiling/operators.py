"""How each operator of a traced network is counted; one that is in none of the tables here is reported by name.

One rule for all of them:

* MACs are the multiply-adds of convolutions, linear maps and matrix products, however they are spelled. Adding a bias
  is not one of them.
* Everything else that computes (normalisation, pooling, activation, reduction, arithmetic) counts as elementwise work:
  one operation per element of the largest tensor that the call reads or writes. A mean over H and W therefore costs the
  same as a global average pool.
* What only moves, views or makes values counts nothing.

`register` adds a rule for an operator of your own, or for one that is missing.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from math import prod

import torch


class UnknownOperatorError(ValueError):
    """An operator whose cost is not defined here; the message names it and the module it is in."""


Value = torch._C.Value
Counts = Counter[tuple[str, str]]  # ("macs" | "activations" | "elementwise" | "unknown", kind of operator) -> count


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
        words = f"einsum of {len(operands)} tensors: its cost depends on the order of the products; write it in pairs"
        return Counter({("unknown", words): 1})
    equation, arrow, result = inputs[0].toIValue().replace(" ", "").partition("->")
    terms = equation.split(",")
    if arrow and "." in equation and "." not in result:
        return Counter({("unknown", f"einsum {equation}->{result} sums over its ellipsis; name those axes"): 1})
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


def tensordot_macs(inputs: list[Value], out: tuple[int, ...]) -> int:
    left = shape(inputs[0])
    return prod(out) * prod(left[axis.toIValue()] for axis in inputs[2].node().inputs())


def recurrent(inputs: list[Value], outputs: list[Value]) -> Counts:
    """Every step of a sequence takes each weight once; gates are not counted, as biases are not."""
    weights = [value for value in inputs if value.node().kind() == "prim::ListConstruct"][-1].node().inputs()
    shapes = [each for each in map(shape, weights) if len(each) == 2]
    macs = prod(shape(inputs[0])[:-1]) * sum(map(prod, shapes))
    return Counter({("macs", "linear"): macs, ("activations", "linear"): prod(shape(outputs[0]))})


PRODUCTS = {
    "_convolution": product("convolution", convolution_macs),
    "_convolution_mode": product("convolution", convolution_macs),
    "linear": product("linear", inner_macs(0)),
    "addmm": product("linear", inner_macs(1)),
    "baddbmm": product("matmul", inner_macs(1)),
    **{name: product("matmul", inner_macs(0)) for name in ("matmul", "mm", "bmm", "mv", "dot", "inner")},
    "tensordot": product("matmul", tensordot_macs),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent),
    "scaled_dot_product_attention": attention,
    "einsum": einsum,
}

ELEMENTWISE = frozenset(
    # arithmetic and comparison
    "abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh ceil clamp clamp_max clamp_min complex copysign "
    "cos cosh div divide eq erf erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac "
    "ge greater gt heaviside hypot isclose isfinite isinf isnan le lerp less log log10 log1p log2 logaddexp "
    "logaddexp2 logical_and logical_not logical_or logical_xor logit lt masked_fill maximum minimum mul multiply "
    "nan_to_num ne neg negative outer polar pow rad2deg deg2rad reciprocal remainder round rsqrt rsub sgn sigmoid "
    "sign signbit sin sinc sinh special_erf special_expm1 special_logit sqrt square sub subtract tan true_divide "
    "trunc where xlogy __and__ __or__ __xor__ bitwise_and bitwise_not bitwise_or bitwise_xor "
    # activation
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax mish prelu relu relu6 selu "
    "sigmoid silu softmax softplus softshrink hardshrink tanh tanhshrink threshold rrelu "
    # normalisation
    "batch_norm group_norm instance_norm layer_norm linalg_vector_norm local_response_norm norm rms_norm "
    # pooling and reduction
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d all aminmax amax amin any argmax argmin avg_pool1d avg_pool2d avg_pool3d col2im "
    "count_nonzero cummax cummin cumprod cumsum diff logcumsumexp logsumexp max max_pool1d max_pool2d max_pool3d "
    "mean min nanmean nansum prod std std_mean sum var var_mean "
    # order, and sums by index
    "argsort bincount histc index_add kthvalue median mode msort nanmedian nanquantile quantile scatter_add "
    "scatter_reduce sort topk trace "
    # distances and losses
    "binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cosine_similarity cross "
    "cross_entropy_loss hinge_embedding_loss huber_loss kl_div kron l1_loss linalg_cross mse_loss nll_loss "
    "nll_loss2d nll_loss_nd pairwise_distance smooth_l1_loss soft_margin_loss "
    # resampling
    "_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_nearest_exact3d affine_grid_generator fractional_max_pool2d max_pool1d_with_indices "
    "max_pool2d_with_indices max_pool3d_with_indices max_unpool2d "
    "grid_sampler upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d "
    "upsample_trilinear3d".split()
)


NOTHING = frozenset(
    # views and copies
    "alias as_strided atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to cat column_stack concat conj "
    "data diag_embed diagonal dstack fliplr flipud hsplit hstack imag index_copy index_fill index_put lift lift_fresh "
    "lift_fresh_copy masked_scatter moveaxis mT numpy_T positive ravel real reflection_pad1d reflection_pad3d "
    "replication_pad1d replication_pad3d requires_grad resolve_conj resolve_neg rot90 row_stack scatter select_scatter "
    "slice_scatter swapdims take tensor_split to_dense unsafe_chunk unsafe_split view_as_complex view_as_real vsplit "
    "vstack fill zero "
    "cat channel_shuffle chunk clone constant_pad_nd contiguous copy detach expand expand_as "
    "flatten flip gather im2col index index_select masked_select movedim narrow pad permute pixel_shuffle "
    "pixel_unshuffle reflection_pad2d repeat repeat_interleave replication_pad2d reshape reshape_as roll select slice "
    "split split_with_sizes squeeze stack swapaxes t take_along_dim tile to transpose tril triu type_as unbind "
    "unflatten unfold unsqueeze view view_as "
    # look-ups and made values
    "bucketize exponential hann_window normal one_hot rand randint randn randperm searchsorted tensor uniform "
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


Rule = str | Callable[[list[tuple[int, ...] | None], list[tuple[int, ...] | None]], int]
_REGISTERED: dict[str, Rule] = {}


def register(operator: str, rule: Rule) -> None:
    """Say what an operator without a rule costs, for all profiles from now on.

    Args:
        operator: its name as a profile reports it: "fft_fft2" or "aten::fft_fft2", "mylib::op" for one of a library,
            the class's name for a torch.autograd.Function.
        rule: "elementwise" for one operation per element of the largest tensor; "nothing" for what only moves or makes
            values; or a function of the shapes of the inputs and of the outputs, None for what is no tensor, that
            returns multiply-adds.

    Raises:
        TypeError: a name that is no string, a rule that is none of the three.
        ValueError: an operator that has a rule of this package.
    """
    if not isinstance(operator, str):
        raise TypeError(f"operator must be a name, a string such as 'aten::fft_fft2', got {operator!r}")
    if rule not in ("elementwise", "nothing") and not callable(rule):
        raise TypeError(f"rule must be 'elementwise', 'nothing' or a function of shapes, got {rule!r}")
    bare = operator.removeprefix("aten::").removesuffix("_")
    if bare in PRODUCTS or bare in ELEMENTWISE or bare in NOTHING:
        raise ValueError(f"operator {operator!r} has a rule already; rules of this package stay as they are")
    _REGISTERED[operator if "::" in operator else bare] = rule


def _registered(kind: str) -> Rule | None:
    """The rule that was registered for an operator of a trace."""
    bare = kind.removeprefix("aten::").removeprefix("prim::PythonOp.").removesuffix("_")
    return _REGISTERED.get(kind, _REGISTERED.get(bare))


def _handler(operator: str, rule: Rule) -> Callable[[list[Value], list[Value]], Counts]:
    name = operator.rpartition("::")[2]
    if rule == "elementwise":
        return elementwise(name)

    def handle(inputs: list[Value], outputs: list[Value]) -> Counts:
        made = list(map(shape, outputs))
        macs = rule(list(map(shape, inputs)), made)
        return Counter({("macs", name): macs, ("activations", name): sum(prod(each) for each in made if each)})

    return handle


def handlers() -> dict[str, Callable[[list[Value], list[Value]], Counts]]:
    """Every counted operator under its name in a trace, with those that were registered."""
    counted = {name: rule for name, rule in _REGISTERED.items() if rule != "nothing"}
    prefixes = ("", "aten::", "prim::PythonOp.")
    added = {
        f"{prefix}{name}{suffix}": _handler(name, rule)
        for name, rule in counted.items()
        for prefix in (("",) if "::" in name else prefixes)
        for suffix in ("", "_")
    }
    return _handlers() | added


@cache
def _handlers() -> dict[str, Callable[[list[Value], list[Value]], Counts]]:
    """The rules of this package; in-place forms count as the plain ones."""
    plain = PRODUCTS | {name: elementwise(name) for name in ELEMENTWISE}
    return {f"aten::{name}{suffix}": handle for name, handle in plain.items() for suffix in ("", "_")}


def counts_nothing(kind: str, python_name: str = "") -> bool:
    """Whether an operator of a trace, such as `aten::view` or `prim::Constant`, is known to compute nothing."""
    if _registered(f"prim::PythonOp.{python_name}" if python_name else kind) == "nothing":
        return True
    namespace, _, name = kind.partition("::")
    return name.removesuffix("_") in NOTHING if namespace == "aten" else name in BOOKKEEPING
