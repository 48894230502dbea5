"""Runs inside the sandbox: the cells of one submission, then its functions on the judge's inputs.

A job comes as JSON on standard input; messages go out as JSON, a line each, on standard output. Nothing in here is
secret, and nothing that it says is believed: the judge looks at values alone. This file is started as a script by a
Python without site-packages; the job names the folder that has the student's packages.

    {"folders": [...], "cells": [{"id", "source"}], "calls": [{"id", "function", "arguments"}], "seconds": {...},
     "limits": {...}, "refused": {name: why}}
"""

import contextlib
import fnmatch
import io
import json
import os
import signal
import sys
import traceback

TEXT, FIGURES = 10_000, 4  # characters and pictures that a cell may leave


class TimeUp(BaseException):
    """Not an Exception, so that `except Exception` in a student's loop does not catch it."""


class Bounded(io.TextIOBase):
    """A stream that keeps the first characters and lets the rest go."""

    def __init__(self) -> None:
        self.kept, self.left = [], TEXT

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.kept.append(text[: self.left])
        self.left -= len(self.kept[-1])
        return len(text)

    def text(self) -> str:
        return "".join(self.kept) + ("\n(more was printed)" if self.left == 0 else "")


@contextlib.contextmanager
def at_most(seconds: float, of_processor: bool = False):
    """Raise TimeUp inside when the time is over, by the clock or by what the processor gave."""
    timer, told = (signal.ITIMER_PROF, signal.SIGPROF) if of_processor else (signal.ITIMER_REAL, signal.SIGALRM)

    def over(signum, frame):
        raise TimeUp

    signal.signal(told, over)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)


def complaint(seconds: float, frames: int = 3) -> dict:
    """What went wrong, in the student's own lines; called where an exception is handled."""
    kind, error, trace = sys.exc_info()
    if kind is TimeUp:
        return {"kind": "time", "text": f"it ran for more than {seconds:g} seconds"}
    name = "memory" if kind is MemoryError else "syntax" if issubclass(kind, SyntaxError) else "error"
    try:
        own = [each for each in traceback.extract_tb(trace) if each.filename.startswith("<cell")][-frames:]
        where = "".join(f"\n  line {each.lineno} of {each.filename.strip('<>')}, in {each.name}" for each in own)
        text = f"{kind.__name__}: {error}"[:1000] + where
    except BaseException:  # an exception whose text raises
        text = kind.__name__
    return {"kind": name, "text": text}


class Shell:
    """What a notebook's %words and !words call: what times runs its code, and the rest does nothing."""

    def __init__(self, namespace: dict) -> None:
        self.namespace = namespace

    def run_line_magic(self, name: str, line: str, *_, **__) -> None:
        if name in ("time", "timeit", "prun"):
            exec(compile(line, "<cell: a line behind %>", "exec"), self.namespace)

    def run_cell_magic(self, name: str, line: str, body: str) -> None:
        if name not in ("time", "timeit", "prun", "capture"):
            raise RuntimeError(f"a cell that begins with %%{name} is not run")
        exec(compile(body, f"<cell: below %%{name}>", "exec"), self.namespace)

    def system(self, command: str) -> None:
        pass

    def getoutput(self, command: str, *_, **__) -> list:
        return []


def main() -> None:
    import resource  # which Windows has not

    job = json.load(sys.stdin)
    for name, most in job["limits"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, the system stops this process first
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what code writes past Python's own streams goes nowhere
        os.dup2(silence, stream)

    def say(**message) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    say(at="start")
    sys.path[:0] = job["folders"]
    import numpy
    import torch
    from wire import decode, encode

    torch.set_num_threads(1)
    refuse(job["refused"])
    namespace = {"__name__": "__main__", "display": print}
    shell = Shell(namespace)
    namespace["get_ipython"] = lambda: shell
    seconds = job["seconds"]
    for number, cell in enumerate(job["cells"], start=1):
        say(at="cell", id=cell["id"])
        printed, failed = Bounded(), None
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                with at_most(seconds["cell"]):
                    exec(compile(cell["source"], f"<cell {number}>", "exec"), namespace)
            except BaseException:
                failed = complaint(seconds["cell"])
        say(cell=cell["id"], printed=printed.text(), figures=figures(), failed=failed)
    slow = set()
    for call in job["calls"]:
        part = call["id"].rpartition("/")[0]  # of the question; its points are lost with one input
        if part in slow:
            continue
        say(at="call", id=call["id"])
        function = namespace.get(call["function"])
        if function is None:
            say(call=call["id"], failed={"kind": "missing", "text": f"there is no {call['function']}"})
            continue
        arguments = [decode(each) for each in call["arguments"]]
        torch.manual_seed(0)
        numpy.random.seed(0)
        with contextlib.redirect_stdout(Bounded()), contextlib.redirect_stderr(Bounded()):
            try:
                with at_most(seconds["call"]):
                    answer = {"value": encode(function(*arguments))}
            except BaseException:
                answer = {"failed": complaint(seconds["call"])}
                slow |= {part} if answer["failed"]["kind"] == "time" else set()
        say(call=call["id"], **answer)
    say(at="end")
    out.flush()
    os._exit(0)  # whatever waits at exit is not waited for


def refuse(names: dict[str, str]) -> None:
    """Put an error in the place of what would be the answer, wherever torch has it, the names of its kernels included.

    Args:
        names: {pattern: why}
    """
    import torch

    kernels = {name.partition("::")[2].partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    places = [torch, torch.nn, torch.nn.functional, torch.special, torch.linalg, torch.autograd, torch.func]
    places += [torch.autograd.functional, torch._C._nn, torch._C._VariableFunctions, torch.Tensor, torch.ops.aten]
    for place in places:
        found = sorted(kernels) if place is torch.ops.aten else dir(place)
        for pattern, why in names.items():
            for name in fnmatch.filter(found, pattern):
                if place is torch.Tensor or callable(getattr(place, name, None)):
                    with contextlib.suppress(AttributeError, TypeError):  # what is written in C and cannot be changed
                        setattr(place, name, _refused(name, why, place is torch.Tensor))


def _refused(name: str, why: str, of_tensor: bool):
    def refused(*_, **__):
        raise NameError(f"{name} may not be used here: {why}")

    return property(refused, lambda *_: None) if of_tensor else refused


def figures() -> list[str]:
    """The figures that a cell drew, as PNG in base64."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    import base64

    from matplotlib import pyplot

    pictures = []
    try:
        with at_most(20):
            for number in pyplot.get_fignums()[:FIGURES]:
                picture = io.BytesIO()
                pyplot.figure(number).savefig(picture, format="png", dpi=80, bbox_inches="tight")
                pictures.append(base64.b64encode(picture.getvalue()).decode())
            pyplot.close("all")
    except BaseException:
        return pictures
    return [each for each in pictures if len(each) < 400_000]


if __name__ == "__main__":
    main()
