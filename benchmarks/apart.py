"""Loops that share nothing with each other but the machine."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch


class Apart:
    """A loop in a process of its own, so that no way to train shares memory, threads or settings with another."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, context, initializer=_make, initargs=(make, arguments))

    def ask(self, function: Callable[..., float], *arguments: Any) -> float:
        """`function(loop, *arguments)`, computed there."""
        return self.pool.submit(_there, function, arguments).result()


_loop: Any = None  # of this process, where `Apart` has started it


def _make(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    global _loop
    torch.backends.cudnn.benchmark = True  # as `train` has it
    _loop = make(*arguments)


def _there(function: Callable[..., float], arguments: tuple[Any, ...]) -> float:
    return function(_loop, *arguments)
