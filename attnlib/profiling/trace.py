"""The operators of one forward pass, counted by the rules of `operators.py`."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from attnlib.networks.parts import copy_modules
from attnlib.profiling.operators import UnknownOperatorError, counts_nothing, handlers

with warnings.catch_warnings():
    # fvcore scripts a loss function, which we do not use, while it is imported.
    warnings.filterwarnings("ignore", message=r".*torch\.jit\.script.*deprecated")
    from fvcore.nn.jit_analysis import JitModelAnalysis


@dataclass(frozen=True)
class Counts:
    """What one pass costs.

    Attributes:
        macs, elementwise, activations: by operator.
        unknown: calls of operators without a rule, by "operator in module": their share is in none of the others.
    """

    macs: dict[str, int]
    elementwise: dict[str, int]
    activations: dict[str, int]
    unknown: dict[str, int]


def count_operations(model: nn.Module, *inputs: Any) -> dict[str, dict[str, int]]:
    """Trace `model(*inputs)` in evaluation mode; returns {"macs" | "elementwise" | "activations": {operator: count}}.

    As `count`, which says more, except that an operator without a rule is an error.

    Raises:
        UnknownOperatorError: an operator without a rule; the message names it and the module it is in.
    """
    counts = count(model, inputs)
    if counts.unknown:
        raise UnknownOperatorError(no_rule(counts.unknown))
    return {"macs": counts.macs, "elementwise": counts.elementwise, "activations": counts.activations}


def no_rule(unknown: dict[str, int]) -> str:
    """Which operators have no rule, and what to do, in words."""
    first = next(iter(unknown))
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    return f"no rule for operator {first}{more}; say what it costs by attnlib.profiling.register"


def count(model: nn.Module, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Counts:
    """Trace `model(*args, **kwargs)` in evaluation mode and count its operators by the rules.

    torch's fused attention path is off meanwhile, since it hides its products. Weights made of others, as by spectral
    norm, are there before the trace: making them is no work of an image. Tensors on the meta device are replaced by
    zeros, since the tracer does not run there. A compiled network is traced as it was before. The model is not changed.
    """
    shadow = uncompiled_(copy_modules(unwrapped(model), _with_values)).eval()
    _make_weights(shadow)
    leaves, form = tree_flatten((tuple(args), dict(kwargs or {})))
    called = _Called(shadow, [None if isinstance(leaf, Tensor) else (leaf,) for leaf in leaves], form)
    tensors = tuple(_with_values(leaf) for leaf in leaves if isinstance(leaf, Tensor))
    analysis = _Analysis(called, tensors).set_op_handle(**handlers()).uncalled_modules_warnings(False)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*deprecated")
            counts = analysis.by_operator()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    by_quantity: dict[str, dict[str, int]] = {"macs": {}, "elementwise": {}, "activations": {}, "unknown": {}}
    for (quantity, operator), number in counts.items():
        by_quantity[quantity][operator] = int(number)
    by_quantity["unknown"] |= analysis.unknown
    return Counts(**by_quantity)


def unwrapped(model: nn.Module) -> nn.Module:
    """A network without the wrappers of torch.compile, DataParallel and DistributedDataParallel around it.

    Raises:
        TypeError: a scripted network, whose operators cannot be seen.
    """
    while (inner := _inner(model)) is not None:
        model = inner
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"its part {path}" if path else "it"
            raise TypeError(f"{where} is scripted, so that its operators cannot be seen; profile the network it was")
    return model


def uncompiled_(copied: nn.Module) -> nn.Module:
    """The same copy of a network, in which no part is compiled."""
    for path, module in list(copied.named_modules()):
        module._compiled_call_impl = None
        if (inner := _inner(module)) is not None:
            copied.set_submodule(path, inner)
    return copied


def _inner(model: nn.Module) -> nn.Module | None:
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return model.module
    return dict(model.named_children()).get("_orig_mod")  # torch.compile's OptimizedModule


class _Called(nn.Module):
    """A network that takes its arguments' tensors alone and gives tensors alone, as the tracer wants it."""

    def __init__(self, model: nn.Module, others: list[Any], form: Any) -> None:
        super().__init__()
        self.model, self.others, self.form = model, others, form

    def forward(self, *tensors: Tensor) -> list[Tensor]:
        given = iter(tensors)
        leaves = [next(given) if other is None else other[0] for other in self.others]
        args, kwargs = tree_unflatten(leaves, self.form)
        return tensors_of(self.model(*args, **kwargs))


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors of whatever a network gives.

    Raises:
        ValueError: there is none.
    """
    leaves = tree_leaves(vars(output) if is_dataclass(output) else output)
    if tensors := [leaf for leaf in leaves if isinstance(leaf, Tensor)]:
        return tensors
    raise ValueError(f"the network gives no tensor but {type(output).__name__}")


def _with_values(tensor: Tensor) -> Tensor:
    if not tensor.is_meta:
        return tensor
    zeros = torch.zeros_like(tensor, device="cpu")
    return nn.Parameter(zeros, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else zeros


def _make_weights(copied: nn.Module) -> None:
    """Plain weights in place of parametrised ones. torch's own removal changes the class, which the model shares."""
    for module in filter(parametrize.is_parametrized, list(copied.modules())):
        made = {name: getattr(module, name).detach() for name in module.parametrizations}
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
        for name, weight in made.items():
            module.register_parameter(name, nn.Parameter(weight, requires_grad=False))


class _Analysis(JitModelAnalysis):
    """fvcore's analysis, except that it notes an operator that it does not know instead of counting a zero."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.unknown: dict[str, int] = {}

    def _should_ignore_node(self, node: torch._C.Node) -> bool:
        kind = node.kind()
        if not counts_nothing(kind, node.pyname() if kind == "prim::PythonOp" else ""):
            name = f"{kind} ({node.pyname()})" if kind == "prim::PythonOp" else kind
            module = node.scopeName().rpartition("/")[2].removeprefix("model").removeprefix(".")
            own = "the network's own forward"
            key = f"{name} in {module or own}"
            self.unknown[key] = self.unknown.get(key, 0) + 1
        return True
