"""The operators of one forward pass, counted by the rules of `operators.py`."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from attnlib.networks.parts import copy_modules
from attnlib.profiling.operators import UnknownOperatorError, counts_nothing, handlers

with warnings.catch_warnings():
    # fvcore scripts a loss function, which we do not use, while it is imported.
    warnings.filterwarnings("ignore", message=r".*torch\.jit\.script.*deprecated")
    from fvcore.nn.jit_analysis import JitModelAnalysis


def count_operations(model: nn.Module, *inputs: Tensor) -> dict[str, dict[str, int]]:
    """Trace `model(*inputs)` in evaluation mode; returns {"macs" | "elementwise" | "activations": {operator: count}}.

    torch's fused attention path is off meanwhile, since it hides its products. Weights made of others, as by spectral
    norm, are there before the trace: making them is no work of an image. Tensors on the meta device are replaced by
    zeros, since the tracer does not run there. The model is not changed.

    Raises:
        UnknownOperatorError: an operator without a rule; the message names it and the module it is in.
    """
    shadow = copy_modules(model, _with_values).eval()
    _make_weights(shadow)
    analysis = (
        _Analysis(shadow, tuple(map(_with_values, inputs))).set_op_handle(**handlers()).uncalled_modules_warnings(False)
    )
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*deprecated")
            counts = analysis.by_operator()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    by_quantity: dict[str, dict[str, int]] = {"macs": {}, "elementwise": {}, "activations": {}}
    for (quantity, operator), count in counts.items():
        by_quantity[quantity][operator] = int(count)
    return by_quantity


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
    """fvcore's analysis, except that an operator it does not know is an error instead of a zero."""

    def _should_ignore_node(self, node: torch._C.Node) -> bool:
        kind = node.kind()
        if counts_nothing(kind):
            return True
        name = f"{kind} ({node.pyname()})" if kind == "prim::PythonOp" else kind
        module = node.scopeName().rpartition("/")[2] or "the network's own forward"
        raise UnknownOperatorError(
            f"no rule for operator {name} in {module}; say what it costs in attnlib/profiling/operators.py"
        )
