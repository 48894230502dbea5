"""What the commands share: consoles, options, and how errors are told."""

import ast
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

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


Root = Annotated[
    Path | None, typer.Option(help="Folder of the data sets; default $ATTNLIB_DATA, then the user's cache folder.")
]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input is one line and exit status 2; Ctrl-C one line and 130."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        err.print(f"[red]error:[/red] {escape(error)}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(130) from None


def parse(arguments: list[str] | None, option: str = "--arg", example: str = "reduction=8") -> dict[str, Any]:
    """`["reduction=8", "squeeze=max"]` to a dictionary; a value that neither JSON nor Python reads is a string."""
    parsed: dict[str, Any] = {}
    for argument in arguments or []:
        key, equals, value = argument.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"{option} takes KEY=VALUE, e.g. {option} {example}, got {argument!r}")
        parsed[key] = _value(value)
    return parsed


def _value(text: str) -> Any:
    # Python's spelling too: as a string, "False" would count as true.
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return text


def escape(message: object) -> str:
    from rich.markup import escape

    return escape(str(message))
