"""The residual blocks of a network by what it does: one pass on the meta device shows what is added to a shortcut.

Names say little: libraries call a shortcut `downsample`, `shortcut`, `skip_connection` or nothing at all. Here a block
is the innermost module in whose own forward two maps are added, one of which (the shortcut) passes at most one of the
convolutions and linear maps that the other (the branch) passes. All modules of its class are blocks too: one that
changes the map's size often has no shortcut, and stands for a block all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from attnlib.base import Attention
from attnlib.networks.parts import copy_modules, without_values

MIXES = {"convolution", "addmm", "mm", "linear"}
NORMS = {"native_batch_norm", "_native_batch_norm_legit_no_training", "native_group_norm", "native_layer_norm"}


@dataclass
class _Step:
    """One tensor of the pass: the operator that made it, in whose forward, and from what."""

    kind: str
    path: str
    shape: tuple[int, ...]
    parents: tuple[int, ...]
    before: int  # a bit for each step that it depends on, and for itself


@dataclass
class Block:
    """A residual block, or the form of one that has no shortcut.

    Attributes:
        ends: paths of the layers behind which its branch has nothing but permutations, scales and activations before
            the shortcut is added; the last layer that has weights comes first. Empty where no module gives that map.
        branch: paths of all modules that give a map of the branch behind which no other layer changes it.
        shape: of the map that the block gives.
    """

    ends: list[str]
    branch: set[str]
    shape: tuple[int, ...]


@dataclass
class Seen:
    """What one pass through a network showed.

    Attributes:
        shapes: of what each module gave at its first call, by path; None where that is no single tensor. A module that
            was never called is not here.
        blocks: every residual block by its path, in the order of their calls.
        gates: paths of modules that scale their input by one value a channel or a position computed from it, as SE.
    """

    shapes: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    gates: list[str] = field(default_factory=list)


def observe(model: nn.Module, inputs: Sequence[Any], follow: bool = True) -> Seen:
    """Run `model` once in evaluation mode on the meta device; without `follow` only the shapes are noted.

    The model is not changed and no weight is read.
    """
    shadow = copy_modules(model, without_values).eval()
    recorder = _Recorder()
    for path, module in shadow.named_modules():
        module.register_forward_pre_hook(lambda module, args, path=path: recorder.enter(path))
        module.register_forward_hook(lambda module, args, output, path=path: recorder.leave(path, output))
    with torch.no_grad():
        if not follow:
            shadow(*inputs)
            return Seen(recorder.shapes)
        with recorder:
            for tensor in tree_leaves(inputs):
                if isinstance(tensor, Tensor):
                    recorder.note(tensor, "input", ())
            shadow(*inputs)
    return _Reader(recorder, shadow).seen()


def on_meta(inputs: Sequence[Any]) -> Any:
    """The same inputs without values."""
    return tree_map_only(Tensor, lambda tensor: torch.empty_like(tensor, device="meta"), tuple(inputs))


class _Recorder(TorchDispatchMode):
    """Follows every tensor that depends on the inputs through a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[_Step] = []
        self.stack = [""]
        self.of: dict[int, int] = {}  # id of a tensor -> the step that made it
        self.alive: list[Any] = []  # so that no id is given twice
        self.calls: list[tuple[str, int]] = []  # modules and the steps that they gave
        self.given: dict[str, list[int]] = {}  # the same for the last call, of tuples and dicts every step
        self.shapes: dict[str, tuple[int, ...] | None] = {}

    def enter(self, path: str) -> None:
        self.stack.append(path)

    def leave(self, path: str, output: Any) -> None:
        self.stack.pop()
        self.shapes.setdefault(path, tuple(output.shape) if isinstance(output, Tensor) else None)
        self.given[path] = [self.of[id(each)] for each in tree_leaves(output) if id(each) in self.of]
        if id(output) in self.of:
            self.calls.append((path, self.of[id(output)]))

    def note(self, tensor: Tensor, kind: str, parents: tuple[int, ...]) -> None:
        before = 1 << len(self.steps)
        for parent in parents:
            before |= self.steps[parent].before
        self.of[id(tensor)] = len(self.steps)
        self.alive.append(tensor)
        self.steps.append(_Step(kind, self.stack[-1], tuple(tensor.shape), parents, before))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        parents = tuple(dict.fromkeys(self.of[id(each)] for each in given if id(each) in self.of))
        result = func(*args, **kwargs)
        if parents:
            kind = func.overloadpacket.__name__
            kind = kind.removesuffix("_") if kind != "_" else kind
            for tensor in tree_leaves(result):
                if isinstance(tensor, Tensor):
                    self.note(tensor, kind, parents)
        return result


def _inside(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


@dataclass
class _Sum:
    """A sum of a branch and a shortcut: its step, the step of the branch, and as bits those of the branch alone."""

    step: int
    end: int
    alone: int


class _Reader:
    """Finds blocks and gates among the steps of a pass."""

    def __init__(self, recorder: _Recorder, model: nn.Module) -> None:
        self.steps, self.calls, self.shapes = recorder.steps, recorder.calls, recorder.shapes
        self.given = recorder.given
        self.modules = dict(model.named_modules())
        # What an attention module of ours does inside, such as its trunk, is no block of the network.
        self.ours = [path for path, module in self.modules.items() if isinstance(module, Attention)]
        self.weighted = {path for path, module in self.modules.items() if next(module.parameters(), None) is not None}
        self.mixing = sum(1 << n for n, step in enumerate(self.steps) if step.kind in MIXES)

    def seen(self) -> Seen:
        sums = self._sums()
        blocks: dict[str, Block] = {}
        kinds = {type(self.modules[path]) for path in sums if path}
        for path, given in self.given.items():
            if path in sums and path:
                last = sums[path][-1]
                blocks[path] = self._block(path, last.end, given[0] if len(given) == 1 else last.step)
            elif path and given and type(self.modules[path]) in kinds and self._is_a_form_of_a_block(path, sums):
                blocks[path] = self._block(path, self._branch_of_any_sum(path, given[0]), given[0])
        for number, each in enumerate(sums.get("", [])):  # a network that adds in its own forward
            block = self._block("", each.end, each.step)
            if block.ends:
                blocks[block.ends[0]] = block
            else:
                blocks[f"sum {number}"] = block
        return Seen(self.shapes, blocks, self._gates())

    def _sums(self) -> dict[str, list[_Sum]]:
        """The sums with a shortcut, by the module that adds; without those whose branch holds another module's."""
        found: dict[str, list[_Sum]] = {}
        for number, step in enumerate(self.steps):
            if step.kind != "add" or len(step.parents) != 2 or any(_inside(step.path, each) for each in self.ours):
                continue
            if each := self._with_shortcut(number):
                found.setdefault(step.path, []).append(each)
        found = {path: sums for path, sums in found.items() if not self._is_a_cell(path)}
        found = {path: sums for path, sums in found.items() if not self._is_inside_a_branch(path, found)}
        bits = {path: sum(1 << each.step for each in sums) for path, sums in found.items()}
        kept = {}
        for path, sums in found.items():
            # One class with one module says nothing of what repeats: each of its sums is then looked at alone.
            others = [b for other, b in bits.items() if other != path or not path]
            inner = [each for each in sums if not any(each.alone & b for b in others)]
            if inner:
                kept[path] = inner
        return {path: sums for path, sums in kept.items() if not self._is_part_of_a_block(path, kept)}

    def _is_a_cell(self, path: str) -> bool:
        """Whether it joins sums of which none follows from another, as the cells of NASNet do: none is a shortcut's."""
        for step in self.steps:
            if path and step.kind == "cat" and step.path == path:
                joined = [
                    each for each in step.parents if self.steps[each].kind == "add" and self.steps[each].path == path
                ]
                if any(not self.steps[b].before >> a & 1 for b in joined for a in joined if a < b):
                    return True
        return False

    def _is_inside_a_branch(self, path: str, found: dict[str, list[_Sum]]) -> bool:
        """Whether it adds for a use of its own, such as scores, in a module of a branch: others give what they add."""
        if self._gives_a_sum(path, found[path]):
            return False
        bits = sum(1 << each.step for each in found[path])
        return any(
            other and other != path and _inside(path, other) and self._gives_a_sum(other, sums) and each.alone & bits
            for other, sums in found.items()
            for each in sums
        )

    def _gives_a_sum(self, path: str, sums: list[_Sum]) -> bool:
        """Whether a module gives one of its sums, apart from norms, activations and other shapes of it."""
        steps = {each.step for each in sums}
        for number in self.given.get(path, ()):
            while number not in steps and len(self.steps[number].parents) == 1 and self.steps[number].kind not in MIXES:
                (number,) = self.steps[number].parents
            if number in steps:
                return True
        return False

    def _is_part_of_a_block(self, path: str, sums: dict[str, list[_Sum]]) -> bool:
        """Whether it adds single convolutions to a block's main path, as a conditional position encoding does."""
        if not any(other and other != path and _inside(path, other) for other in sums):
            return False
        mixes = [each.alone & self.mixing for each in sums[path]]
        return all((self.steps[n].before & bits).bit_count() == 1 for bits in mixes for n in _numbers(bits))

    def _branch_of_any_sum(self, path: str, output: int) -> int:
        """What is added in a block whose shortcut does much, or comes from elsewhere; without a sum the output."""
        number = output
        while len(self.steps[number].parents) == 1 and self.steps[number].kind not in MIXES | NORMS:
            number = self.steps[number].parents[0]
        step = self.steps[number]
        if step.kind != "add" or step.path != path or len(step.parents) != 2:
            return output
        one, two = (self.steps[parent] for parent in step.parents)
        more = [(a.before & ~b.before & self.mixing).bit_count() for a, b in ((one, two), (two, one))]
        return output if more[0] == more[1] or one.shape != two.shape else step.parents[more.index(max(more))]

    def _with_shortcut(self, number: int) -> _Sum | None:
        step = self.steps[number]
        one, two = (self.steps[parent] for parent in step.parents)
        if not (one.shape == two.shape == step.shape and len(step.shape) > 2):
            return None
        alone = [one.before & ~two.before, two.before & ~one.before]
        common = one.before & two.before  # what comes from elsewhere, as the time step of a diffusion model, may enter
        inner = (_inside(self.steps[n].path, step.path) or not self.steps[n].before & common for n in _both(alone))
        if not common or not all(inner):
            return None
        mixes = [(bits & self.mixing).bit_count() for bits in alone]
        branch = mixes.index(max(mixes))
        if mixes[1 - branch] > 1 or mixes[0] == mixes[1]:
            return None
        if mixes[1 - branch] and self._in_a_row(alone[branch]) < 2:
            return None  # convolutions side by side, to be folded into one
        if any(self.steps[n].kind == "mul" and len(self.steps[n].parents) > 1 for n in _numbers(alone[1 - branch])):
            return None  # gated itself, as the contexts that focal modulation adds up
        if not mixes[1 - branch] and any(self.steps[n].kind in NORMS for n in _numbers(alone[1 - branch])):
            return None  # a norm beside convolutions, to be folded into one of them, as in RepVGG and MobileOne
        if not step.path and any(self.steps[n].kind.startswith("upsample") for n in _numbers(alone[branch])):
            return None  # a decoder that adds what an encoder gave
        return _Sum(number, step.parents[branch], alone[branch])

    def _in_a_row(self, bits: int) -> int:
        """The most convolutions and linear maps of which each takes what another gave."""
        rows: dict[int, int] = {}
        for n in _numbers(bits):
            before = max((rows.get(parent, 0) for parent in self.steps[n].parents), default=0)
            rows[n] = before + (self.steps[n].kind in MIXES)
        return max(rows.values(), default=0)

    def _is_a_form_of_a_block(self, path: str, sums: dict[str, list[_Sum]]) -> bool:
        if any(_inside(path, each) for each in self.ours):
            return False
        mixes = any(self.steps[n].path != path and _inside(self.steps[n].path, path) for n in _numbers(self.mixing))
        return mixes and not any(other != path and _inside(other, path) for other in sums)

    def _block(self, path: str, end: int, output: int) -> Block:
        chain = [end]
        while len(self.steps[chain[-1]].parents) == 1 and self.steps[chain[-1]].kind not in MIXES | NORMS:
            chain.append(self.steps[chain[-1]].parents[0])
        inside = [(each, step) for each, step in self.calls if each != path and _inside(each, path)]
        ends = [(chain.index(step), each.count("."), each) for each, step in inside if step in chain]
        ends = [each for _, _, each in sorted(ends, reverse=True) if each in self.weighted]
        # Layers that give as many values as the map: a linear layer gives rows of them, one inside a gate fewer.
        size = self._values(end)
        wide = sum(1 << n for n in _numbers(self.mixing & self.steps[end].before) if self._values(n) == size)
        branch = {
            each for each, step in inside if self.steps[end].before >> step & 1 and not wide & ~self.steps[step].before
        }
        return Block(list(dict.fromkeys(ends)), branch, self.steps[output].shape)

    def _gates(self) -> list[str]:
        found = []
        for path, number in self.calls:
            step = self.steps[number]
            if step.kind != "mul" or step.path != path or len(step.parents) != 2 or path not in self.weighted:
                continue
            scaled, gate = sorted(step.parents, key=lambda parent: self._values(parent), reverse=True)
            smaller = self._values(gate) < self._values(scaled)
            if smaller and self.steps[gate].before >> scaled & 1 and len(step.shape) == 4:
                found.append(path)
        return list(dict.fromkeys(found))

    def _values(self, number: int) -> int:
        while self.steps[number].kind == "expand":
            (number,) = self.steps[number].parents
        return torch.Size(self.steps[number].shape).numel()


def _both(alone: list[int]) -> Iterator[int]:
    return _numbers(alone[0] | alone[1])


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
