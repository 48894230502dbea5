"""What `make test`, `make test-all` and `make check KEY=se` run, part by part, with the minutes of each at the end.

python book/tools/check.py                what a change can break: `make test`
python book/tools/check.py --only book    of that, what a change of prose can break: `make test ONLY=book`
python book/tools/check.py --rest         all that takes longer: `make test-all`
python book/tools/check.py --key se       one module, its paper, its chapter and the style: `make check KEY=se`

Every part runs even where an earlier one failed, so that one run shows all there is to mend; only the tests of the
built site need the build before them. In the environment, NO_PART_AFTER (seconds since 1970) is when no further part
begins: those left over are named and the exit status is 1. CHECK_REPORT names a file that the table is added to.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chapters import REPOSITORY, kernel_environment, notebooks

TOOLS = Path(__file__).parent
BIN = Path(sys.executable).parent

# Loading nbval takes seconds in every process, and only notebooks need it.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:nbval"]
TWO_AT_A_TIME = ["-n", "2", "--dist", "worksteal"]
# Wrong shapes are errors; compile and export cannot run under this option.
SHAPES = "--jaxtyping-packages=attnlib,beartype.beartype"
UNIT = [*PYTEST, *TWO_AT_A_TIME, "--ignore=tests/site", "--ignore=tests/classroom"]
QUICK = "not thorough and not export and not cifar"
# The cells of a chapter share a kernel: they stay in one process, in their order.
NOTEBOOK_BY_NOTEBOOK = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
CELLS = [sys.executable, "-m", "pytest", "-q", "-p", "book.tools.differences"]
CELLS += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120", "--durations=10", "--durations-min=5"]
PAIRS, STAMPS, OUTPUTS = ([sys.executable, TOOLS / name] for name in ("pairs.py", "stamp.py", "outputs.py"))
BUILD = [sys.executable, TOOLS / "build.py"]
IMPORTS = [BIN / "lint-imports", "--no-cache"]
MUTANTS = [sys.executable, "-m", "tests.mutants.run"]


@dataclass(frozen=True)
class Part:
    """One command of a run.

    Attributes:
        command: exit status 0 says that all is well.
        book: whether a change of prose alone can break it.
        needs: the part without whose success there is nothing to look at.
        environment: variables besides those of every kernel.
    """

    command: list[str | Path]
    book: bool = False
    needs: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


def marked(name: str) -> list[Path]:
    """The files with tests of this marker: only to collect all the others takes half a minute."""
    files = sorted((REPOSITORY / "tests").rglob("test_*.py"))
    return [path for path in files if re.search(rf"mark\.{name}\b", path.read_text(encoding="utf-8"))]


def test() -> dict[str, Part]:
    """What a change can break."""
    return {
        "pairs": Part(PAIRS, book=True),
        "stamps": Part(STAMPS, book=True),
        "outputs": Part(OUTPUTS, book=True),
        "imports": Part(IMPORTS),
        "unit tests": Part([*UNIT, "tests", "--ignore=tests/book", "-m", QUICK, SHAPES]),
        "book's tests": Part([*PYTEST, "tests/book", "-m", QUICK, *TWO_AT_A_TIME], book=True),
        "classroom": Part([*PYTEST, "tests/classroom", "-m", QUICK]),
        "export": Part([*UNIT, *marked("export"), "-m", "export and not thorough and not cifar"]),
        "notebooks": Part([*CELLS, *NOTEBOOK_BY_NOTEBOOK, *notebooks()]),
        "build": Part([*BUILD, "--fresh"], book=True),
        "site": Part([*PYTEST, "tests/site", "-m", QUICK, *TWO_AT_A_TIME], book=True, needs="build"),
    }


def rest() -> dict[str, Part]:
    """What takes longer, and slips seldom."""
    return {
        "unit tests": Part([*UNIT, "tests", "-m", "thorough and not export and not cifar", SHAPES]),
        "export": Part([*UNIT, *marked("export"), "-m", "export and thorough and not cifar"]),
        "classroom": Part([*PYTEST, "tests/classroom", "-m", "thorough", *TWO_AT_A_TIME]),
        "cifar": Part([*UNIT, *marked("cifar"), "-m", "cifar"]),
        "full lane": Part([sys.executable, TOOLS / "rehearse.py"]),
        "mutants": Part([*MUTANTS, "--sample", "20"]),
        "build": Part(BUILD),
        "site": Part([*PYTEST, "tests/site", "-m", "thorough", *TWO_AT_A_TIME], needs="build"),
    }


def one_module(key: str) -> dict[str, Part]:
    """The module, its paper, its chapter and the style."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.mutants.run import tests_of

    only = {"ATTNLIB_CASES": key}
    papers = [path for path in ("tests/ledger", "tests/papers", "tests/published") if (REPOSITORY / path).is_dir()]
    chapters = [path for path in notebooks() if path.stem.split("_deeper")[0] == key]
    module = [*PYTEST, *tests_of(key), *papers, "-m", QUICK, SHAPES, *TWO_AT_A_TIME]
    parts = {"style": Part([BIN / "ruff", "check", "."]), "imports": Part(IMPORTS), "pairs": Part(PAIRS)}
    parts["module and paper"] = Part(module, environment=only)
    if chapters:
        parts["chapter"] = Part([*CELLS, *chapters])
        parts["rhythm"] = Part([*PYTEST, "tests/book/test_chapters.py", "-k", " or ".join(p.stem for p in chapters)])
    return parts


def run(parts: dict[str, Part], clock: Callable[[], float] = time.time) -> int:
    """Run them in order and print the table; 0 where each passed."""
    end = float(os.environ.get("NO_PART_AFTER") or "inf")
    results: dict[str, tuple[str, float]] = {}
    for name, part in parts.items():
        print(f"\n== {name}", flush=True)
        start = clock()
        if start > end:
            results[name] = ("NOT RUN", 0.0)
            print("not run: the time is up")
        elif part.needs and results[part.needs][0] != "passed":
            results[name] = ("NOT RUN", 0.0)
            print(f"not run: it needs {part.needs}, which has not passed")
        else:
            environment = kernel_environment() | part.environment
            code = subprocess.run(part.command, cwd=REPOSITORY, env=environment).returncode
            results[name] = ("FAILED" if code else "passed", clock() - start)
    table = f"\n{'part':<18}{'result':<9}minutes\n"
    table += "".join(f"{name:<18}{word:<9}{seconds / 60:7.1f}\n" for name, (word, seconds) in results.items())
    print(table, flush=True)
    if report := os.environ.get("CHECK_REPORT"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(table)
    return int(any(word != "passed" for word, _ in results.values()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", choices=["book"], help="of `make test`, what a change of prose can break")
    which.add_argument("--rest", action="store_true", help="what `make test` leaves out")
    which.add_argument("--key", help="a module, such as se")
    chosen = parser.parse_args(arguments)
    if not notebooks():  # without a path, pytest would run the unit tests once more and call the chapters passed
        sys.exit("there is no notebook below notebooks/; restore them, or make them from their .py with `make sync`")
    if chosen.key is not None:
        return run(one_module(known(chosen.key)))
    if chosen.rest:
        return run(rest())
    return run({name: part for name, part in test().items() if part.book or not chosen.only})


def known(key: str) -> str:
    """The key, where there is such a module; else exits and says which there are."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.mutants.run import keys

    if key not in keys():
        sys.exit(f"no module is called {key!r}; say make check KEY=..., one of: {' '.join(keys())}")
    return key


if __name__ == "__main__":
    sys.exit(main())
