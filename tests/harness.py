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
# A batch norm's entries in a state dict -> their names in the loop forms.
NORM = {
    "weight": "scale",
    "bias": "shift",
    "running_mean": "mean",
    "running_var": "variance",
    "num_batches_tracked": "batches",
}
SHAPES = ((2, 9, 7), (2, 13, 11), (3, 1, 6))  # N, H, W


@dataclass(frozen=True)
class Case:
    """One module with one set of arguments, and how its loop form names what is in its state dict.

    Attributes:
        key: of the registry.
        channels: not a power of two where the module allows it.
        reference: (x, **tensors) to (output, new statistics), on nested lists; takes `training` where the module has
            running statistics.
        symbols: entry of the state dict -> the reference's argument; "a.b" is entry b of a dictionary a. None for a
            module of many layers: the reference then takes the state dict as `state`, under the module's own names.
        arguments: of the module.
        shapes: N and the map's size that it is held against its loop form with; the first also serves the other tests.
        smallest: the shortest side that the module takes.
        gate_range: the gate's lowest and highest value; None for a module without a gate.
        rows_sum_to_one: each row of the weights is a distribution over the keys.
        keeps_shape: the output has the shape of the input.
        keeps_type: under autocast the output has the input's type; otherwise, as after a convolution, autocast's.
        pixels_alike: exchanging pixels of the input exchanges those of the output.
        fixed_size: exported for one H and W; true without saying so where the parameters are tied to a size.
        single, half: tolerance in float32, and in bfloat16, relative and absolute, against float64.
    """

    key: str
    channels: int
    reference: Callable[..., Any]
    symbols: Mapping[str, str] | None = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = SHAPES
    smallest: int = 1
    gate_range: tuple[float, float] | None = (0.0, 1.0)
    rows_sum_to_one: bool = False
    keeps_shape: bool = True
    keeps_type: bool = True
    pixels_alike: bool = True
    fixed_size: bool = False
    single: float = 2e-5
    half: float = 0.03

    def __str__(self) -> str:
        return "-".join([self.key, *(f"{name}={value}" for name, value in self.arguments.items())])

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the map's size for whatever needs one shape."""
        return self.shapes[0]

    @property
    def tied(self) -> bool:
        """Whether the parameters are tied to one size of the map."""
        return info(self.key).needs_size(dict(self.arguments))

    def create(self, size: tuple[int, ...] | None = None) -> nn.Module:
        """The module for maps of this size, as `attnlib.create` leaves it."""
        size = self.shape[1:] if size is None else size
        return create(self.key, self.channels, **info(self.key).arguments_for(self.channels, size, **self.arguments))

    def build(
        self, size: tuple[int, ...] | None = None, dtype: torch.dtype = torch.float64, seed: int = 0
    ) -> nn.Module:
        """The same, its parameters and running statistics random and partly negative."""
        module = self.create(size)
        generator = torch.Generator().manual_seed(seed)
        for index, (name, tensor) in enumerate(module.state_dict().items()):
            if not tensor.is_floating_point():
                tensor.fill_(7)
                continue
            values = 0.2 + 0.6 * torch.rand(tensor.numel(), generator=generator, dtype=torch.float64)
            if not name.endswith("running_var"):
                values[index % 3 :: 3] *= -1  # every third, not always the first: some tensors have one entry
            tensor.copy_(values.view_as(tensor))
        return module.to(dtype)


def sample(case: Case, batch: int, *size: int, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    """A random map for the module of `case`, neither centred nor of unit variance; of the case's shape by default."""
    shape = (batch, case.channels, *size)
    generator = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(shape, generator=generator, dtype=torch.float64) + 0.3).to(dtype)


def draw(shape: torch.Size, seed: int) -> Tensor:
    """Random numbers of a shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def statistics_of(module: nn.Module) -> dict[str, Tensor]:
    """What the module keeps besides its parameters."""
    parameters = dict(module.named_parameters())
    return {name: tensor for name, tensor in module.state_dict().items() if name not in parameters}


def has_statistics(module: nn.Module) -> bool:
    return bool(statistics_of(module))


def check_forward(case: Case, shape: tuple[int, ...], training: bool) -> None:
    """Output and updated statistics agree with the loop form to 1e-12."""
    module = case.build(shape[1:]).train(training)
    if case.symbols is not None:
        assert set(case.symbols) == set(module.state_dict()), "every entry of the state dict needs its symbol"
    x = sample(case, *shape)
    output, statistics = _by_loops(case, module, x, _tensors(module))
    found = module(x)
    assert found.shape == output.shape
    torch.testing.assert_close(found, output.real, atol=1e-12, rtol=1e-12)
    for name, buffer in statistics_of(module).items():
        entry = statistics[name] if case.symbols is None else _entry(statistics, case.symbols[name])
        expected = torch.tensor(entry, dtype=torch.complex128).real
        torch.testing.assert_close(buffer, expected.to(buffer.dtype), atol=1e-12, rtol=0)


def check_gradients(case: Case, shape: tuple[int, ...], training: bool) -> None:
    """The gradients of a random weighting of the output agree with complex steps through the loop form to 1e-10.

    One step a tensor, along a random direction, in which every entry of its gradient has a part.
    """
    module = case.build(shape[1:]).train(training)
    before = _tensors(module)  # a forward in train mode moves the statistics
    x = sample(case, *shape).requires_grad_()
    output = module(x)
    weighting = draw(output.shape, seed=2)
    (weighting * output).sum().backward()
    gradients = {"x": x.grad} | {name: parameter.grad for name, parameter in module.named_parameters()}
    for index, (name, gradient) in enumerate(gradients.items()):
        direction = draw(gradient.shape, seed=3 + index)
        tensor = x.detach() if name == "x" else before[name]
        stepped = torch.complex(tensor, STEP * direction)
        at_x, tensors = (stepped, before) if name == "x" else (x.detach(), before | {name: stepped})
        output, _ = _by_loops(case, module, at_x, tensors)
        expected = (weighting * output.imag).sum().item() / STEP
        found = (gradient * direction).sum().item()
        assert abs(found - expected) <= 1e-10 * max(1, abs(expected)), f"gradient of {name}: {found} != {expected}"


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _by_loops(case: Case, module: nn.Module, x: Tensor, tensors: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
    arguments: dict[str, Any] = {"training": module.training} if has_statistics(module) else {}
    if case.symbols is None:
        arguments["state"] = {name: tensor.tolist() for name, tensor in tensors.items()}
    else:
        for name, tensor in tensors.items():
            *outer, last = case.symbols[name].split(".")
            place = arguments
            for part in outer:
                place = place.setdefault(part, {})
            # The equations have matrices where a module has the kernels of 1 x 1 convolutions.
            pointwise = tensor.dim() > 2 and set(tensor.shape[2:]) == {1}
            place[last] = (tensor.flatten(1) if pointwise else tensor).tolist()
    output, statistics = case.reference(x.tolist(), **arguments)
    return torch.tensor(output, dtype=torch.complex128), statistics


def _entry(nested: Mapping[str, Any], symbol: str) -> Any:
    for part in symbol.split("."):
        nested = nested[part]
    return nested
