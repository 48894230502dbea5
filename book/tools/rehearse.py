"""Run each chapter in the full lane for one epoch of 512 images, in a copy of the repository that is thrown away.

python book/tools/rehearse.py [NOTEBOOK ...]    all that train by the lane's recipe where none is given

In the copy the recipe of the full lane is short, and records are filed there: nothing of the repository changes. What
CIFAR needs is looked for as always ($ATTNLIB_DATA, the cache folder, else a download).
"""

import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from chapters import REPOSITORY, chosen, kernel_environment, notebooks, read

RECIPE = "attnlib/training/recipes/equal-budget.toml"  # of chapter_recipe in the full lane
SHORT = {"epochs": "1", "warmup_epochs": "0", "train_images": "512"}
LANES = "chapter_recipe("  # in a chapter that does otherwise in the full lane
TIMEOUT = 900  # seconds for one cell
AT_ONCE = 2


def shortened(recipe: str) -> str:
    """The text of a recipe with the fields of SHORT in place of its own."""
    for name, value in SHORT.items():
        recipe = re.sub(rf"(?m)^{name} = .*\n", "", recipe) + f"{name} = {value}\n"
    return recipe


def copy_repository(to: Path) -> None:
    """The package, the book and the chapters, with the short recipe."""
    for name in ("attnlib", "book", "notebooks"):
        shutil.copytree(REPOSITORY / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    recipe = to / RECIPE
    recipe.write_text(shortened(recipe.read_text(encoding="utf-8")), encoding="utf-8")


async def rehearse(path: Path, copy: Path) -> None:
    """Run one notebook of the copy top to bottom; raises where a cell fails."""
    environment = kernel_environment() | {"ATTNLIB_LANE": "full", "PYTHONPATH": str(copy)}
    client = NotebookClient(read(path), kernel_name="python3", extra_arguments=["--log-level=ERROR"], timeout=TIMEOUT)
    await client.async_execute(cwd=str(path.parent), env=environment)


async def rehearse_all(names: list[Path], copy: Path) -> bool:
    """Run several, AT_ONCE at a time, and print how each went; True where all went well."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(name: Path) -> bool:
        async with turn:
            start = time.perf_counter()
            try:
                await rehearse(copy / name, copy)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                print(f"{name}: fails in the full lane\n{error}", flush=True)
                return False
            print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
            return True

    return all(await asyncio.gather(*map(one, names)))


def trains(notebook: Path) -> bool:
    return any(LANES in cell.source for cell in read(notebook).cells if cell.cell_type == "code")


def main() -> int:
    paths = chosen(sys.argv[1:]) or [path for path in notebooks() if trains(path)]
    with tempfile.TemporaryDirectory() as folder:
        copy_repository(Path(folder))
        names = [path.relative_to(REPOSITORY) for path in paths]
        return int(not asyncio.run(rehearse_all(names, Path(folder))))


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
