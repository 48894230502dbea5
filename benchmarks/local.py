"""How fast local attention is beside the form that copies every window, and how much memory it takes.

    python -m benchmarks.local            64 channels, 8 heads, k = 7, batch 8, four sizes: minutes on two cores
    python -m benchmarks.local --quick    few repetitions

What is timed is the attention alone, from query, key, value and relative positions to the heads' output: the three
projections around it are the same in every form. A ratio is ours / theirs, both timed in turn, pair by pair; the table
also says how many times as fast that is. The allocator is the default one: the C library takes blocks above 32 MB from
the system each time, and the page faults of its copies are a part of what the opponents cost (each form is timed right
after a run of its own, so that neither pays the other's). --keep-freed leaves them out. Opponents:

    unfold     windows copied by F.unfold, then multiplied and summed, as public ports of the paper do it
    windows    our own readable form: windows copied from a strided view, then matrix products
    flex       FlexAttention, compiled; on a GPU, with a masked border
    natten     NATTEN's neighbourhood attention where it is installed, on a GPU. It computes something else: windows at
               the border are moved inside, and there are no relative positions
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import Tensor

from attnlib.base import check_choice
from attnlib.profiling.memory import LiveBytes
from attnlib.self_attention.local import local_attention, windows_form
from attnlib.training.allocator import keep_freed_memory
from benchmarks.measure import TABLES, compare, header, save

BATCH, HEADS, CHANNELS, KERNEL = 8, 8, 64, 7
SIZES = (8, 16, 32, 56)
PASSES = ("forward", "forward+backward")

# How many times as fast as unfold it is to be at each size, forward and forward+backward, with a quarter of its memory.
GOALS = {8: (6, 8), 16: (4, 4), 32: (3, 3), 56: (3, 3)}

Attend = Callable[..., Tensor]  # of query, key, value, row and column


def inputs(size: int, device: torch.device) -> list[Tensor]:
    """Query, key and value (N, heads, channels of a head, H, W), row and column offsets, all to be learned."""
    width = CHANNELS // HEADS
    shapes = [(BATCH, HEADS, width, size, size)] * 3 + [(HEADS, width // 2, KERNEL)] * 2
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(device).requires_grad_() for shape in shapes]


def ours(border: str) -> Attend:
    return lambda *tensors: local_attention(*tensors, KERNEL, border)


def windows(border: str) -> Attend:
    return lambda *tensors: windows_form(*tensors, KERNEL, border)


def unfold(query: Tensor, key: Tensor, value: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Every neighbour of every pixel in one tensor, and the relative position added to the keys; padded border."""
    offsets = (-1, -1, KERNEL, KERNEL)
    r = torch.cat([row[..., None].expand(offsets), column[:, :, None].expand(offsets)], 1).flatten(2)

    def copied(x: Tensor) -> Tensor:
        around = F.unfold(x.flatten(1, 2), KERNEL, padding=KERNEL // 2)
        return around.unflatten(1, (*x.shape[1:3], KERNEL**2))

    logits = (query.flatten(3)[:, :, :, None] * (copied(key) + r[..., None])).sum(2)
    y = (logits.softmax(2)[:, :, None] * copied(value)).sum(3)
    return y.view(value.shape)


def flex(size: int, device: torch.device) -> Attend:
    """FlexAttention over all pixels of the window that are on the map."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    reach = KERNEL // 2

    def inside(n, head, pixel, other):
        down, right = other // size - pixel // size, other % size - pixel % size
        return (down.abs() <= reach) & (right.abs() <= reach)

    mask = create_block_mask(inside, None, None, size * size, size * size, device=device)
    compiled = torch.compile(flex_attention, dynamic=False)

    def attend(query: Tensor, key: Tensor, value: Tensor, row: Tensor, column: Tensor) -> Tensor:
        first, second = query.chunk(2, 2)
        rows = torch.einsum("nhcij,hca->nhija", first, row).flatten(2, 3)
        columns = torch.einsum("nhcij,hca->nhija", second, column).flatten(2, 3)

        def positioned(score, n, head, pixel, other):
            down = (other // size - pixel // size + reach).clamp(0, KERNEL - 1)
            right = (other % size - pixel % size + reach).clamp(0, KERNEL - 1)
            return score + rows[n, head, pixel, down] + columns[n, head, pixel, right]

        q, k, v = (t.flatten(3).mT.contiguous() for t in (query, key, value))
        y = compiled(q, k, v, score_mod=positioned, block_mask=mask, scale=1.0)
        return y.mT.unflatten(3, (size, size))

    return attend


def natten(size: int, device: torch.device) -> Attend:
    from natten import na2d

    def attend(query: Tensor, key: Tensor, value: Tensor, row: Tensor, column: Tensor) -> Tensor:
        q, k, v = (t.permute(0, 3, 4, 1, 2).contiguous() for t in (query, key, value))
        return na2d(q, k, v, kernel_size=KERNEL, scale=1.0).permute(0, 3, 4, 1, 2)

    return attend


def opponents(size: int, device: torch.device, notes: list[str]) -> Iterator[tuple[str, str, Attend]]:
    """Border, name and form of whatever runs here; what does not is noted."""
    yield "pad", "unfold", unfold
    for border in ("pad", "mask"):
        yield border, "windows", windows(border)
    if device.type != "cuda":
        return
    for name, build in (("flex", flex), ("natten", natten)):
        try:
            attend = build(size, device)
            attend(*inputs(size, device)).sum().backward()
        except Exception as error:  # whatever it is, the others are worth having
            notes.append(f"{name} at {size} x {size} cannot be measured here: {str(error).strip().splitlines()[0]}")
        else:
            yield "mask", name, attend


def step(attend: Attend, tensors: list[Tensor], which: str) -> Callable[[], None]:
    """What is timed: without gradients, or with those of all five tensors."""
    if which == "forward":

        def forward() -> None:
            with torch.no_grad():
                attend(*tensors)

        return forward
    gradient = torch.randn_like(tensors[2])
    return lambda: torch.autograd.grad(attend(*tensors), tensors, gradient, allow_unused=True)


def peak_bytes(attend: Attend, size: int, which: str, device: torch.device) -> int:
    """The most bytes of tensors that live at once in one step, beyond its inputs."""
    run = step(attend, inputs(size, device), which)
    run()  # once for what is compiled or kept
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with LiveBytes() as memory:
        run()
    return memory.peak


def measure(
    sizes: list[int], device: torch.device, pairs: int, notes: list[str], progress: Progress
) -> Iterator[dict[str, Any]]:
    """One row for each size, opponent and pass."""
    task = progress.add_task("", total=None)
    for size in sizes:
        tensors = inputs(size, device)
        for border, name, other in opponents(size, device, notes):
            own = ours(border)
            if name != "natten":
                torch.testing.assert_close(own(*tensors), other(*tensors), atol=1e-3, rtol=1e-3)
            for which in PASSES:
                progress.update(task, description=f"{size} x {size} {border} {name} {which}", advance=1)
                found = compare(step(own, tensors, which), step(other, tensors, which), device, pairs, settle=True)
                memory = [peak_bytes(way, size, which, device) for way in (own, other)]
                yield {
                    "size": size,
                    "border": border,
                    "against": name,
                    "pass": which,
                    **found.as_row(),
                    "peak_bytes": memory[0],
                    "peak_bytes_against": memory[1],
                }


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Times as fast and share of the memory, beside what is to be reached against unfold."""
    table = Table(
        "size", "border", "against", "pass", "ms", "theirs", "times as fast", "at least", "MB", "theirs", "share"
    )
    for row in rows:
        faster, share = 1 / row["ratio"], row["peak_bytes"] / row["peak_bytes_against"]
        goal = GOALS[row["size"]][PASSES.index(row["pass"])] if row["against"] == "unfold" else None
        table.add_row(
            f"{row['size']} x {row['size']}",
            *(row[name] for name in ("border", "against", "pass")),
            *(f"{row[name]:.2f}" for name in ("milliseconds", "milliseconds_against")),
            f"{faster:.1f}" if goal is None else f"[{'green' if faster >= goal else 'red'}]{faster:.1f}[/]",
            "" if goal is None else str(goal),
            *(f"{row[name] / 1e6:.0f}" for name in ("peak_bytes", "peak_bytes_against")),
            f"{share:.2f}" if goal is None else f"[{'green' if share <= 0.25 else 'red'}]{share:.2f}[/]",
        )
    console.print(table)


def main(
    sizes: Annotated[
        list[int] | None, typer.Option("--size", "-s", help=f"Of {SIZES}; may be repeated; default all.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; default all cores.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="How often each pair is timed.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="Three pairs: for a look, not for the record.")] = False,
    keep_freed: Annotated[
        bool, typer.Option("--keep-freed", help="Spare both sides the page faults of large blocks, as modules.py does.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the rows go, as JSON. A full run goes to the package's results if this is not given."),
    ] = None,
) -> None:
    """Time local attention beside the forms that copy every window; print and file ratios and peak memory."""
    try:
        for size in sizes or ():
            check_choice("size", str(size), [str(known) for known in SIZES])
        check_choice("device", device, ("cpu", "cuda"))
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda is not there; use --device cpu")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    allocator = "keeps freed memory" if keep_freed and keep_freed_memory() else "default"
    if threads is not None:
        torch.set_num_threads(threads)
    console, notes, pairs = Console(), [], 3 if quick else pairs
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        rows = list(measure(sizes or list(SIZES), torch.device(device), pairs, notes, progress))
    show(rows, console)
    for note in notes:
        console.print(note, highlight=False)
    path = output or (None if sizes or quick or keep_freed else TABLES / f"{device}-local.json")
    if path is None:
        console.print("Not the whole run as it is filed; --output PATH files it.")
        return
    settings = {
        "pairs": pairs,
        "batch": BATCH,
        "heads": HEADS,
        "channels": CHANNELS,
        "kernel_size": KERNEL,
        "ratio": "median over the pairs of ours / theirs; lower and upper are its quartiles",
        "peak_bytes": "most bytes of tensors that live at once in a step, beyond its inputs",
        "allocator": allocator,
    }
    save(path, header(torch.device(device), settings, ("natten",)) | {"notes": notes, "rows": rows})
    console.print(f"written: {path}")


if __name__ == "__main__":
    typer.run(main)
