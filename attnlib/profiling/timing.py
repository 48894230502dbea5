"""How long networks take on the machine at hand: `latency(model)`, or several of them timed in turn."""

import contextlib
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from attnlib.base import check_count, check_size

_WARM_UP = 2  # untimed passes of each before the first round


@dataclass(frozen=True)
class Latency:
    """Times of one network's forward pass in evaluation mode, and where they were measured.

    Attributes:
        milliseconds: of every timed pass, in their order; networks that were timed in turn have round k at place k.
        batch: images that a pass took.
        machine: processor, cores, threads, instructions, GPU (None where the network ran on the processor), system.
        torch: version of PyTorch.
    """

    milliseconds: tuple[float, ...]
    batch: int
    machine: dict[str, str | int | None]
    torch: str = field(default=torch.__version__)

    @property
    def median(self) -> float:
        """In milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """In milliseconds: a quarter of the passes took less than the first, a quarter more than the second."""
        return _quartiles(self.milliseconds)

    def over(self, other: "Latency") -> tuple[float, float, float]:
        """How many times as long as `other`: lower quartile, median and upper quartile of the ratios of their rounds.

        Raises:
            ValueError: the two have unlike many rounds, so that they were not timed in turn.
        """
        if len(self.milliseconds) != len(other.milliseconds):
            raise ValueError(
                f"{len(self.milliseconds)} and {len(other.milliseconds)} timed passes were not taken in turn; "
                "time both by one call of attnlib.profiling.latencies"
            )
        ratios = [mine / theirs for mine, theirs in zip(self.milliseconds, other.milliseconds, strict=True)]
        lower, upper = _quartiles(ratios)
        return lower, statistics.median(ratios), upper

    @property
    def where(self) -> str:
        """Machine and versions in one line, for captions."""
        return f"{self.machine['gpu'] or _processor(self.machine)}; PyTorch {self.torch}"


def latency(
    model: nn.Module,
    image_size: int | tuple[int, int] = 224,
    batch: int = 1,
    runs: int = 20,
    threads: int | None = None,
    in_channels: int = 3,
    inputs: Sequence[Any] | None = None,
) -> Latency:
    """Time the forward pass of `model` where its weights lie, in evaluation mode and without gradients.

    The model is not changed. Two networks are compared by `latencies`: a machine is not equally fast at all times.

    Args:
        model: a network that takes a map (batch, in_channels, H, W), with its weights on the device to be timed.
        image_size: H and W in pixels, or (H, W).
        batch: images of a pass.
        runs: timed passes; each comes behind an untimed one.
        threads: of the processor, for this call; default as many as PyTorch is set to.
        in_channels: 3 for an image.
        inputs: the arguments of a model that takes anything else, in place of the map; `batch` is then only noted.

    Raises:
        TypeError: `model` is not an nn.Module; a size or a number that is not whole.
        ValueError: a size or a number below 1; a model without values (on the meta device); inputs without a tensor.
    """
    return latencies({"": model}, image_size, batch, runs, threads, in_channels, inputs)[""]


def latencies(
    models: Mapping[str, nn.Module],
    image_size: int | tuple[int, int] = 224,
    batch: int = 1,
    runs: int = 20,
    threads: int | None = None,
    in_channels: int = 3,
    inputs: Sequence[Any] | None = None,
    progress: Callable[[str, int, int], None] = lambda name, done, steps: None,
) -> dict[str, Latency]:
    """Time several networks in turn, so that whatever slows the machine down for a while slows all of them.

    Every round times each network once, in an order of its own, behind an untimed pass of that network.

    Args:
        models: the networks by name, all on one device.
        progress: is told the name of the network that is timed, the passes timed so far, and how many there will be.
        image_size, batch, runs, threads, in_channels, inputs: as `latency` has them; `runs` is the number of rounds.

    Raises:
        TypeError, ValueError: as `latency` does; also where there is no model, or they lie on several devices.
    """
    check_timing(runs, batch, threads)
    size = check_size("image_size", image_size)
    check_count("in_channels", in_channels)
    devices = {name: _device(model) for name, model in models.items()}
    if len(set(devices.values())) != 1:
        where = ", ".join(f"{name} on {device}" for name, device in devices.items()) or "none"
        raise ValueError(f"networks are timed on one device, got {where}; move them by .to(device)")
    device = next(iter(devices.values()))
    if device.type == "meta":
        raise ValueError("a network on the meta device has no values to compute with; build it without it")
    if inputs is None:
        like = next(next(iter(models.values())).parameters(), torch.empty(0))
        kind = like.dtype if like.is_floating_point() else torch.float32
        inputs = [torch.randn(batch, in_channels, *size, dtype=kind, device=device)]
    elif not any(isinstance(leaf, Tensor) for leaf in tree_leaves(inputs)):
        raise ValueError(f"inputs must have a tensor in them, got {inputs!r}")
    arguments = tree_map_only(Tensor, lambda tensor: tensor.to(device), tuple(inputs))
    with _threads(threads), _evaluation(models.values()), torch.inference_mode():
        passes = {name: (lambda model=model: model(*arguments)) for name, model in models.items()}
        times = in_turn(passes, device, runs, progress)
        where = machine(device)
    return {name: Latency(tuple(found), batch, where) for name, found in times.items()}


def in_turn(
    ways: Mapping[str, Callable[[], Any]],
    device: torch.device,
    rounds: int,
    progress: Callable[[str, int, int], None] = lambda name, done, steps: None,
) -> dict[str, list[float]]:
    """Milliseconds of each way in every round.

    The order of a round is drawn, the same at every call, so that no way always follows the same other. Before each is
    timed it runs once untimed: the blocks that another has given back to the system would cost it page faults, which
    it does not pay among its own kind.
    """
    for way in ways.values():
        for _ in range(_WARM_UP):
            way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    order, draw, done = list(ways), random.Random(0), 0
    for _ in range(rounds):
        draw.shuffle(order)
        for name in order:
            progress(name, done, rounds * len(ways))
            ways[name]()
            times[name].append(milliseconds(ways[name], device))
            done += 1
    return times


def milliseconds(function: Callable[[], Any], device: torch.device) -> float:
    """How long one call takes, on the device's own clock."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        function()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)
    wait = (lambda: None) if device.type == "cpu" else torch.accelerator.synchronize
    wait()
    start = time.perf_counter()
    function()
    wait()
    return 1e3 * (time.perf_counter() - start)


def device_named(name: str) -> torch.device:
    """The device of that name; "auto" is the accelerator where there is one, else the processor.

    Raises:
        ValueError: no such device, or none here.
    """
    here = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return here or torch.device("cpu")
    if name not in {"cpu", here.type if here else "cpu"}:
        raise ValueError(
            f"device must be auto, cpu{f' or {here.type}' if here else ', the only one here'}, got {name!r}"
        )
    return torch.device(name)


def check_timing(runs: int, batch: int, threads: int | None) -> None:
    """Refuse numbers of passes, images or threads that are not positive integers.

    Raises:
        TypeError: not an integer.
        ValueError: below 1.
    """
    check_count("runs", runs)
    check_count("batch", batch)
    if threads is not None:
        check_count("threads", threads)


def machine(device: torch.device) -> dict[str, str | int | None]:
    """What there is to know of the machine, beside a measured time."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor(machine: Mapping[str, str | int | None]) -> str:
    return f"{machine['cpu']}, {machine['threads']} {'thread' if machine['threads'] == 1 else 'threads'}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return lower, upper


def _device(model: nn.Module) -> torch.device:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}; build one with networks.create")
    found = {tensor.device for tensor in (*model.parameters(), *model.buffers())} or {torch.device("cpu")}
    if len(found) > 1:
        raise ValueError(
            f"{type(model).__name__} lies on {' and '.join(sorted(map(str, found)))}; move it by .to(device)"
        )
    return next(iter(found))


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _evaluation(models: Any) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode that each layer had."""
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
