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
from rich.console import Console

out = Console()


err = Console(stderr=True)


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
    Path | None, typer.Option(help="Folder of the data sets; default $ATTNLIB_DATA, then the user's cache folder.")
]


_PARENT = os.getppid()
_PATIENCE = 10.0  # seconds


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input is one line and exit status 2; too little memory on a GPU one line and 1; Ctrl-C one line and 130."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        end("error", error, 2)
    except KeyboardInterrupt:
        if not helps():
            err.print("interrupted")
        raise typer.Exit(130) from None
    except Exception as error:
        if _memory_ran_out(error):
            end("error", f"{' '.join(str(error).split())}; lower batch_size or use --device cpu", 1)
        # Without the first process, a helper's connection breaks in a way that says nothing.
        if not isinstance(error, typer.Exit) and helps() and _parent_ended():
            raise typer.Exit(1) from None
        raise


def end(kind: str, reason: object, status: int) -> NoReturn:
    """Say in one line why the command ends with this exit status, or leave that to the process that this one helps.

    A helper waits for that process to end: Fabric kills it as soon as a helper has failed, perhaps before it has told
    the reason. Where it goes on all the same, the error is the helper's own, which nobody else tells.
    """
    if helps() and _parent_ended():
        raise typer.Exit(1)
    err.print(f"[red]{kind}:[/red] {escape(reason)}", highlight=False, soft_wrap=True)
    raise typer.Exit(status)


def helps() -> bool:
    """Whether this process shares the batches of another, which shows for both what there is to see."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


def _parent_ended() -> bool:
    deadline = time.monotonic() + _PATIENCE
    while os.getppid() == _PARENT and time.monotonic() < deadline:
        time.sleep(0.05)
    return os.getppid() != _PARENT


def _memory_ran_out(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # where nobody has imported it, this is not its error
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


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
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return text


def escape(message: object) -> str:
    from rich.markup import escape

    return escape(str(message))
