"""What the commands share: consoles, options, and how errors are told."""

import ast
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from attnlib.plain import in_terminal
from attnlib.training.workers import is_worker


class _Console(Console):
    """Prints text as it is: what comes from data is no markup, and gives the terminal no orders."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **settings)

    def _check_buffer(self) -> None:
        """Write what is printed; where nobody reads standard error any more, or its disk is full, work goes on unseen.

        rich would end the program, and with it a run.
        """
        try:
            super()._check_buffer()
        except OSError:
            if not self.stderr:
                raise
            self.quiet = True

    def on_broken_pipe(self) -> None:
        if not self.stderr:
            super().on_broken_pipe()
        self.quiet = True

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(in_terminal(segment.text), segment.style)


out = _Console()


err = _Console(stderr=True)


def path(text: str) -> Path:
    """What an option for a file or folder takes; `~` is home also where a shell leaves it, as in --out=~/a."""
    if not text.strip():
        end("error", f"a file or folder needs a name, got {text!r}", 2)
    return Path(text).expanduser()


Attention = Annotated[
    str,
    typer.Option(
        help="A module (see: attnlib list), put where its paper puts it, constant, or none for the plain network."
    ),
]


Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="KEY=VALUE", help="An argument of the module, e.g. reduction=8; may be repeated."),
]


Where = Annotated[
    str | None,
    typer.Option(
        "--placement",
        help="block-end, last-convolution, stage-end, middle-stages, norms, convolutions, or a pattern of paths "
        "such as 'layer?.*.bn3'; default the paper's place.",
    ),
]


Sides = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        metavar="SIDE | HxW",
        help="Of the images in pixels, e.g. 224, or 224x160 for 224 rows; default what the network was made for.",
    ),
]


Root = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="FOLDER",
        help="Folder of the data sets; default $ATTNLIB_DATA, then the user's cache folder.",
    ),
]


_PARENT = os.getppid()
_PATIENCE = 10.0  # seconds


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input is one line and exit status 2; too little memory one line and 1; Ctrl-C one line and 130."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        end("error", error, 2)
    except KeyboardInterrupt:
        if not is_worker():
            err.print("interrupted")
        raise typer.Exit(130) from None
    except Exception as error:
        if fix := _memory_ran_out(error):
            end("error", f"{' '.join(str(error).split()) or 'memory ran out'}; {fix}", 1)
        # Without the first process, a helper's connection breaks in a way that says nothing.
        if not isinstance(error, typer.Exit) and is_worker() and _parent_ended():
            raise typer.Exit(1) from None
        raise


def end(kind: str, reason: object, status: int) -> NoReturn:
    """Say in one line why the command ends with this exit status, or leave that to the process that this one helps.

    A helper waits for that process to end: Fabric kills it as soon as a helper has failed, perhaps before it has told
    the reason. Where it goes on all the same, the error is the helper's own, which nobody else tells.
    """
    if is_worker() and _parent_ended():
        raise typer.Exit(1)
    tell(kind, reason, "red")
    raise typer.Exit(status)


def tell(kind: str, reason: object, style: str) -> None:
    """One line on standard error, its first word in colour."""
    err.print(Text.assemble((f"{kind}:", style), f" {reason}"), soft_wrap=True)


def note(message: Warning | str, *_: object, **__: object) -> None:
    """In place of `warnings.showwarning`."""
    tell("note", message, "yellow")


def _parent_ended() -> bool:
    deadline = time.monotonic() + _PATIENCE
    while os.getppid() == _PARENT and time.monotonic() < deadline:
        time.sleep(0.05)
    return os.getppid() != _PARENT


def _memory_ran_out(error: Exception) -> str:
    """What to do where that is what the error says, else nothing."""
    torch = sys.modules.get("torch")  # where nobody has imported it, this is not its error
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return "lower batch_size or use --device cpu"
    of_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return "ask for less: smaller images, batches or networks" if of_cpu or isinstance(error, MemoryError) else ""


def parse(arguments: list[str] | None, option: str = "--arg", example: str = "reduction=8") -> dict[str, Any]:
    """`["reduction=8", "squeeze=max"]` to a dictionary; a value that neither JSON nor Python reads is a string."""
    parsed: dict[str, Any] = {}
    for argument in arguments or []:
        key, equals, value = argument.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"{option} takes KEY=VALUE, e.g. {option} {example}, got {argument!r}")
        if key in parsed:
            raise ValueError(f"{key} is given twice by {option}; leave one out")
        parsed[key] = _value(value)
    return parsed


def parse_size(text: str) -> tuple[int, int]:
    """`"224"` or `"224x160"`, rows before columns, to (H, W)."""
    from attnlib.base import check_size

    sides = text.split("x")
    if len(sides) > 2 or not all(side.removeprefix("-").isdecimal() for side in sides):
        raise ValueError(f"--image-size takes a side or HxW, e.g. 224 or 224x160, got {text!r}")
    height, width = check_size("--image-size", int(text) if len(sides) == 1 else tuple(map(int, sides)))
    return height, width


def _value(text: str) -> Any:
    # Python's spelling too: as a string, "False" would count as true.
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return read(text)
    return text
