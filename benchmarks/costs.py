"""What each network costs with each module: the table that `attnlib.results.costs()` reads.

    python -m benchmarks.costs                 renew the table: minutes
    python -m benchmarks.costs -n resnet20     some networks, printed and not filed

Nothing is timed: the figures are the same on every machine. A run that is cut off goes on where it stopped.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import attnlib
from attnlib import networks
from attnlib.base import check_choice
from attnlib.profiling.cost import profile
from attnlib.profiling.inputs import counted
from attnlib.results.network_costs import TABLE
from benchmarks.measure import save

sys.path.append(str(Path(__file__).parents[1] / "book" / "tools"))
import stamp as stamps  # noqa: E402

# Every network stands in the table plain, these with each module too.
WITH_MODULES = (
    *("resnet20", "resnet56", "resnet110", "resnet164", "resnet18_cifar", "resnet50_cifar"),
    *("wrn16_8", "resnext29_8x64d", "vgg16_bn_cifar", "mobilenet_v2_cifar"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnext50", "mobilenet_v1", "mobilenet_v2"),
)
NETWORKS = tuple(networks.list_networks())
# Those that have a place in any network, and two baselines.
MODULES = ("none", *(key for key in (*attnlib.list_modules(), "constant") if attnlib.info(key).rule is not None))
PRODUCTS = ("convolution", "linear", "matmul", "attention")

_PACKAGE = Path(attnlib.__file__).parent
_FOLDERS = ("networks", "kernels", "scale_attention", "self_attention", "profiling")
_DECIDING = (*_FOLDERS, "base.py", "catalogue.py", "registry.py")


def stamp() -> dict[str, Any]:
    """What the figures depend on, as book/tools/stamp.py has it: these sources and the pins of what builds networks."""
    paths = [path for name in _DECIDING for path in sorted((_PACKAGE / name).rglob("*.py")) or [_PACKAGE / name]]
    return stamps.depends_on(map(str, paths), [], ["torch", "torchvision"], _PACKAGE.parent)


def cost_row(network: str, module: str) -> dict[str, str | int]:
    """One row of the table.

    Raises:
        ValueError: the module does not go into this network.
    """
    size = networks.image_size(network)
    with torch.device("meta"):
        model = networks.create(network, attention=module)
    part = counted(network, model, size)
    cost = profile(part.model, inputs=part.inputs)
    return {
        "network": network,
        "kind": networks.kind(network),
        "module": module,
        "image_size": size,
        "classes": networks.usual_classes(network),
        "parameters": cost.parameters,
        "macs": cost.macs,
        **{operator: cost.macs_by_operator.get(operator, 0) for operator in PRODUCTS},
        "elementwise": cost.elementwise,
        "activations": cost.activations,
        "peak_training_bytes": cost.peak_memory_bytes,
    }


def begun(part: Path, head: dict[str, Any]) -> dict[str, Any]:
    """The table that a run cut off has left; an empty one where there is none or it is of other sources."""
    try:
        left = json.loads(part.read_text(encoding="utf-8"))
    except FileNotFoundError:
        left = {}
    same = all(left.get(name) == value for name, value in head.items())
    return left if same else head | {"left_out": {}, "rows": []}


def main(
    chosen: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", help="A name of attnlib.networks.list_networks(); may be repeated."),
    ] = None,
) -> None:
    """Compute the table of costs and file it in the package's results."""
    try:
        for name in chosen or ():
            check_choice("network", name, NETWORKS)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    console = Console()
    head = {"stamp": stamp(), "torch": torch.__version__.partition("+")[0]}
    part = TABLE.with_suffix(".part.json")
    table = head | {"left_out": {}, "rows": []} if chosen else begun(part, head)
    done = {(row["network"], row["module"]) for row in table["rows"]}
    pairs = [
        (network, module)
        for network in chosen or NETWORKS
        for module in (MODULES if network in WITH_MODULES else MODULES[:1])
    ]
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as progress:
        task = progress.add_task("", total=len(pairs))
        for network, module in pairs:
            progress.update(task, description=f"{network} {module}")
            if (network, module) not in done:
                try:
                    table["rows"].append(cost_row(network, module))
                except ValueError as error:
                    table["left_out"][f"{network} with {module}"] = str(error)
                if not chosen:
                    save(part, table)
            progress.advance(task)
    if chosen:
        show(table["rows"], console)
        console.print("Part of the table: nothing was filed.")
        return
    del table["stamp"]
    save(TABLE, table)
    part.unlink()
    filed = {TABLE.relative_to(_PACKAGE.parent).as_posix(): stamps.file_digest(TABLE)}
    stamps.file_stamp("costs", head["stamp"] | {"files": head["stamp"]["files"] | filed}, _PACKAGE.parent)
    console.print(f"written: {TABLE}")


def show(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else value for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
