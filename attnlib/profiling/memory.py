"""Peak memory of one training step, counted on the meta device: the same on every machine and for every allocator."""

import weakref
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from attnlib.networks.parts import copy_modules
from attnlib.profiling.trace import tensors_of, uncompiled_, unwrapped


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of all living tensors: views share their storage, a freed storage is taken off."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        # torch keeps a storage's Python object as long as the storage itself lives, so this runs when it is freed.
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        try:
            result = func(*args, **(kwargs or {}))
        except RuntimeError:
            # A constant made in forward, or a plain attribute, has values and stands beside tensors without.
            args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs or {}))
            result = func(*args, **kwargs)
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self.add(value)
        return result


def peak_training_bytes(model: nn.Module, *args: Any, **kwargs: Any) -> int:
    """Most bytes that live at once while `model(*args, **kwargs).sum()` is computed and back-propagated in float32.

    Counted: parameters, buffers, the inputs, everything kept for the backward pass, its intermediate results and the
    gradients. Left out: optimiser state, workspaces inside a kernel, and what an allocator rounds up or holds back.
    Batch norms use their running statistics, since one image gives them no variance where the map is 1 x 1. The model
    is not changed.
    """
    try:
        return _peak(model, args, kwargs, "meta")
    except RuntimeError:  # an operator whose result depends on values, as nonzero and nms
        return _peak(model, args, kwargs, "cpu")


def _peak(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> int:
    """On a device without values; or on the processor, with zeros for those that there are none of."""

    def moved(tensor: Tensor) -> Tensor:
        empty = tensor.is_meta or device == "meta"
        like = torch.zeros_like(tensor, device=device) if empty else tensor.detach().to(device, copy=True)
        if like.is_floating_point():
            like = like.float()
        return nn.Parameter(like, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else like

    shadow = uncompiled_(copy_modules(unwrapped(model), moved)).train()
    args, kwargs = tree_map_only(Tensor, moved, (args, kwargs))
    for module in shadow.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    memory = LiveBytes()
    for tensor in (*shadow.parameters(), *shadow.buffers(), *tree_leaves((args, kwargs))):
        if isinstance(tensor, Tensor):
            memory.add(tensor)
    with memory, torch.enable_grad(), torch.random.fork_rng(devices=[]):
        loss = reduce(torch.add, [_real(output).sum() for output in tensors_of(shadow(*args, **kwargs))])
        if loss.requires_grad:  # a module without trainable parameters only runs forward
            loss.backward()
    return memory.peak


def _real(output: Tensor) -> Tensor:
    return output.abs() if output.is_complex() else output
