"""A module against its loop form: outputs, running statistics and every gradient, in float64.

A module joins by one `Case` for each set of arguments; the tests of all modules run over these cases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create, info

STEP = 1e-30  # of the complex step: its square vanishes beside any value, so that there is no truncation error
COORDINATES = 20  # checked of each tensor, drawn at random; all of a smaller one
SIZES = ((2, 9, 7), (2, 13, 11), (3, 1, 6))  # N, H, W


@dataclass(frozen=True)
class Case:
    """One module with one set of arguments, and how its loop form names what is in its state dict.

    Attributes:
        key: of the registry.
        channels: not a power of two where the module allows it.
        reference: (x, **tensors) to (output, new statistics), on nested lists; takes `training` where the module has
            running statistics.
        symbols: entry of the state dict -> the reference's argument; "a.b" is entry b of a dictionary a.
        arguments: of the module.
        gate_range: the gate's lowest and highest value.
        pixels_alike: exchanging pixels of the input exchanges those of the output.
    """

    key: str
    channels: int
    reference: Callable[..., Any]
    symbols: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    gate_range: tuple[float, float] = (0.0, 1.0)
    pixels_alike: bool = True

    def __str__(self) -> str:
        return "-".join([self.key, *(f"{name}={value}" for name, value in self.arguments.items())])

    def create(self, size: tuple[int, int] = (9, 7)) -> nn.Module:
        """The module for maps of this size, as `attnlib.create` leaves it."""
        return create(self.key, self.channels, **info(self.key).arguments_for(self.channels, size, **self.arguments))

    def build(self, size: tuple[int, int] = (9, 7), dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
        """The same, its parameters and running statistics random and partly negative."""
        module = self.create(size)
        generator = torch.Generator().manual_seed(seed)
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                tensor.fill_(7)
                continue
            values = 0.2 + 0.6 * torch.rand(tensor.numel(), generator=generator, dtype=torch.float64)
            if not name.endswith("running_var"):
                values[::3] *= -1
            tensor.copy_(values.view_as(tensor))
        return module.to(dtype)


def sample(
    case: Case, batch: int, height: int, width: int, dtype: torch.dtype = torch.float64, seed: int = 1
) -> Tensor:
    """A random map for the module of `case`, neither centred nor of unit variance."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, case.channels, height, width, generator=generator, dtype=torch.float64)
    return (1.5 * x + 0.3).to(dtype)


def has_statistics(module: nn.Module) -> bool:
    return any(True for _ in module.buffers())


def check_forward(case: Case, batch: int, height: int, width: int, training: bool) -> None:
    """Output and updated statistics agree with the loop form to 1e-12."""
    module = case.build((height, width)).train(training)
    assert set(case.symbols) == set(module.state_dict()), "every entry of the state dict needs its symbol"
    x = sample(case, batch, height, width)
    output, statistics = _by_loops(case, module, x, _tensors(module))
    torch.testing.assert_close(module(x), output.real, atol=1e-12, rtol=0)
    for name, buffer in module.named_buffers():
        expected = torch.tensor(_entry(statistics, case.symbols[name]), dtype=torch.complex128).real
        torch.testing.assert_close(buffer, expected.to(buffer.dtype), atol=1e-12, rtol=0)


def check_gradients(case: Case, batch: int, height: int, width: int, training: bool) -> None:
    """The gradients of a random weighting of the output agree with complex steps through the loop form to 1e-10."""
    module = case.build((height, width)).train(training)
    before = _tensors(module)  # a forward in train mode moves the statistics
    x = sample(case, batch, height, width).requires_grad_()
    weighting = sample(case, batch, height, width, seed=2)
    (weighting * module(x)).sum().backward()
    gradients = {"x": x.grad} | {name: parameter.grad for name, parameter in module.named_parameters()}
    generator = torch.Generator().manual_seed(3)
    for name, gradient in gradients.items():
        tensor = x.detach() if name == "x" else before[name]
        for coordinate in torch.randperm(tensor.numel(), generator=generator)[:COORDINATES].tolist():
            stepped = tensor.to(torch.complex128, copy=True)
            stepped.view(-1)[coordinate] += 1j * STEP
            at_x, tensors = (stepped, before) if name == "x" else (x.detach(), before | {name: stepped})
            output, _ = _by_loops(case, module, at_x, tensors)
            expected = (weighting * output.imag).sum().item() / STEP
            found = gradient.view(-1)[coordinate].item()
            assert abs(found - expected) <= 1e-10 * max(1, abs(expected)), (
                f"{name}[{coordinate}]: {found} != {expected}"
            )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _by_loops(case: Case, module: nn.Module, x: Tensor, tensors: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
    arguments: dict[str, Any] = {"training": module.training} if has_statistics(module) else {}
    for name, tensor in tensors.items():
        *outer, last = case.symbols[name].split(".")
        place = arguments
        for part in outer:
            place = place.setdefault(part, {})
        # The equations have matrices where a module has the kernels of 1 x 1 convolutions.
        place[last] = (tensor[..., 0, 0] if tensor.dim() == 4 and tensor.shape[2:] == (1, 1) else tensor).tolist()
    output, statistics = case.reference(x.tolist(), **arguments)
    return torch.tensor(output, dtype=torch.complex128), statistics


def _entry(nested: Mapping[str, Any], symbol: str) -> Any:
    for part in symbol.split("."):
        nested = nested[part]
    return nested
