"""Run each chapter in the full lane for one epoch of 512 images, in a copy of the repository that is thrown away.

python book/tools/rehearse.py [NOTEBOOK ...]    all of them where none is given

In the copy the recipe of the full lane is short, and records are filed there: nothing of the repository changes. What
CIFAR needs is looked for as always ($ATTNLIB_DATA, the cache folder, else a download).
"""

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
TIMEOUT = 300  # seconds for one cell


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


def rehearse(path: Path) -> None:
    """Run one notebook of the copy top to bottom; raises where a cell fails."""
    copy = next(parent for parent in path.parents if parent.name == "notebooks").parent
    environment = kernel_environment() | {"ATTNLIB_LANE": "full", "PYTHONPATH": str(copy)}
    client = NotebookClient(read(path), kernel_name="python3", extra_arguments=["--log-level=ERROR"], timeout=TIMEOUT)
    client.execute(cwd=str(path.parent), env=environment)


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_repository(copy)
        for notebook in chosen(sys.argv[1:]) or notebooks():
            name = notebook.relative_to(REPOSITORY)
            start = time.perf_counter()
            try:
                rehearse(copy / name)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failed = True
                print(f"{name}: fails in the full lane\n{error}", flush=True)
            else:
                print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
