"""Runs before a chapter's first cell, or a computation, in a namespace of its own: notes which files are used.

The globals ROOT (the repository) and REPORT (a file to write) are given. An audit hook sees every open() and every
folder listing of this process, also those made by libraries; it cannot be taken out again, which is why the code lives
in the kernel's process and not in the one that drives it. The event "attnlib.book.report" writes the report.
"""

import json
import os
import sys

ROOT: str
REPORT: str
read, listed = set(), set()
machinery = {name.partition(".")[0] for name in sys.modules}  # the kernel's own, which decides no output


def note(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return  # what the chapter writes is no input of it
    if event == "open":
        add(read, arguments[0])
    elif event in ("os.listdir", "os.scandir"):
        add(listed, arguments[0])
    elif event == "attnlib.book.report":
        for module in list(sys.modules.values()):
            add(read, getattr(module, "__file__", None))
        with open(REPORT, "w", encoding="utf-8") as file:
            imported = {name.partition(".")[0] for name in sys.modules} - machinery
            facts = {"imported": sorted(imported), "versions": versions(), "device": device()}
            json.dump({"read": sorted(read), "listed": sorted(listed), **facts}, file)


def add(paths, path):
    if isinstance(path, (str, bytes, os.PathLike)):
        path = os.path.realpath(os.fsdecode(path))
        if path.startswith(ROOT + os.sep):
            paths.add(path)


def versions():
    """Versions of what decides numbers and pictures, as far as the chapter loaded it."""
    names = ("torch", "torchvision", "numpy", "matplotlib")
    loaded = {name: str(sys.modules[name].__version__) for name in names if name in sys.modules}
    return {"python": ".".join(map(str, sys.version_info[:3])), **loaded}


def device():
    """What the chapter computed on: a GPU where it started CUDA, else the CPU."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_initialized() else "CPU"


sys.addaudithook(note)
