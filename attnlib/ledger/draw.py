"""Random maps and modules, the same on every run, and what checks do with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed values in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_parameters(module: M, seed: int = 0, std: float = 1.0) -> M:
    """The module in double precision, changed in place: no part of it is left at a special value such as 0 or 1.

    Parameters are normally distributed with this deviation, running statistics between 0.5 and 1.5.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.normal_(std=std, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return module


@contextmanager
def seeded() -> Iterator[None]:
    """Inside, initial values are the same on every run; outside, torch's generator goes on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def random_order(length: int) -> Tensor:
    """A random order of so many things."""
    return torch.randperm(length, generator=torch.Generator().manual_seed(1))


def back_propagate(module: nn.Module, x: Tensor) -> None:
    """Leave the gradients of a sum of the output, weighted with numbers of both signs."""
    (module(x) * x.detach().cos()).sum().backward()


def largest(difference: Tensor) -> float:
    """The largest absolute value."""
    return difference.abs().max().item()
