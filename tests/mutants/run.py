"""Make one slip at a time in a copy of the package and see that the tests of that module fail.

python -m tests.mutants.run [KEY ...]       the slips of tests/mutants/KEY.yml; of all files where no key is given
python -m tests.mutants.run --sample 20     so many of them, others with each commit

A slip is first tried on what `make test` runs. What passes there is tried on the rest, and is told where that catches
it: it moved to `make test-all`. Exit status 1 where a slip survives both, or where the tests fail without any.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PASSED, FAILED, NONE = 0, 1, 5  # exit statuses of pytest; any other says that the tests could not run
# Loaded once, before the processes that try a slip each are forked: loading them takes longer than most slips live.
LOADED_BEFORE = ("torch", "torchvision", "pytest", "hypothesis", "jaxtyping")
OURS = ("attnlib", "benchmarks", "tests")  # each process loads these anew, from its copy
TEST, REST = "not thorough and not export and not cifar", "thorough and not export and not cifar"


@dataclass(frozen=True)
class Mutant:
    """One slip: `find`, which stands once in `file`, becomes `replace`; the tests of `key` have to notice."""

    key: str
    file: str
    slip: str
    find: str
    replace: str

    def source(self) -> str:
        """The file with the slip in it."""
        text = (REPOSITORY / self.file).read_text(encoding="utf-8")
        if text.count(self.find) != 1:
            raise ValueError(
                f"{self.key}, {self.slip}: {self.find!r} stands {text.count(self.find)} times in {self.file}"
            )
        return text.replace(self.find, self.replace)


def keys() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.yml"))


def mutants(key: str) -> list[Mutant]:
    """The slips of one module; `file` may be given once for all or for each."""
    found = content(key)
    shared = {"key": key} | ({"file": found["file"]} if "file" in found else {})
    return [Mutant(**(shared | entry)) for entry in found["mutants"]]


def content(key: str) -> dict[str, Any]:
    """The list as it stands: file, mutants, and tests where others than the module's own have to notice."""
    return yaml.safe_load((HERE / f"{key}.yml").read_text(encoding="utf-8"))


def tests_of(key: str) -> list[str]:
    """The tests that every module joins, the module's own, and those that its list names besides."""
    own = [str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "tests").glob(f"*_attention/test_{key}.py")]
    return ["tests/modules", *own, *content(key).get("tests", [])]


def run_tests(key: str, mutant: Mutant | None, marks: str = TEST) -> int:
    """pytest's exit status on those tests that `marks` selects, in a copy of the repository with the slip in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in OURS:
            shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "records"))
        shutil.copy(REPOSITORY / "pyproject.toml", copy)
        if mutant is not None:
            (copy / mutant.file).write_text(mutant.source(), encoding="utf-8")
        process = multiprocessing.get_context("fork").Process(target=run_pytest, args=(copy, key, marks))
        process.start()
        process.join()
        return process.exitcode


def run_pytest(copy: Path, key: str, marks: str) -> None:
    """End this process, which is forked for it, with pytest's exit status in the copy."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ |= {"ATTNLIB_CASES": key, "PYTHONPATH": str(copy)}
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    options = ["-x", "-q", "-m", marks, "-p", "no:cacheprovider", "-p", "no:nbval", "-p", "no:xdist"]
    # The tests of exports are in neither selection, and loading what they need takes seconds.
    options.append("--ignore=tests/modules/test_export.py")
    os._exit(int(import_module("pytest").main([*options, *tests_of(key)])))


@dataclass(frozen=True)
class Outcome:
    """What came of one slip, or of the tests without any: a fault says what is wrong, a note what is worth knowing."""

    fault: str = ""
    note: str = ""


def outcome(key: str, mutant: Mutant | None) -> Outcome:
    status = run_tests(key, mutant)
    if mutant is None:
        passes = status == PASSED
        return Outcome() if passes else Outcome(f"{key}: its tests do not pass without a slip (exit status {status})")
    if status == PASSED:
        status = run_tests(key, mutant, REST)
        if status == FAILED:
            return Outcome(note=f"{key}: caught by make test-all alone: {mutant.slip}")
        if status in (PASSED, NONE):
            return Outcome(f"{key}: SURVIVED: {mutant.slip}")
    return Outcome(
        "" if status == FAILED else f"{key}: the tests could not run with: {mutant.slip} (exit status {status})"
    )


def sampled(slips: list[Mutant], count: int, seed: str) -> list[Mutant]:
    """So many of the slips, in the order of the list; the same ones for the same seed."""
    chosen = random.Random(seed).sample(range(len(slips)), min(count, len(slips)))
    return [slips[index] for index in sorted(chosen)]


def commit() -> str:
    """The commit that is checked out, so that another one draws other slips; empty outside a repository."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key", nargs="*", choices=[[], *keys()], help="a module; all of them where none is given")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--sample", type=int, help="try so many of the slips, drawn anew for each commit")
    chosen = parser.parse_args()
    slips = [mutant for key in chosen.key or keys() for mutant in mutants(key)]
    # The tests without a slip, once for each module: where they fail, nothing follows from their failing with one. A
    # sample goes without, as `make test` has just told.
    work = [(key, None) for key in dict.fromkeys(mutant.key for mutant in slips) if chosen.sample is None]
    if chosen.sample is not None:
        slips = sampled(slips, chosen.sample, commit())
    work += [(mutant.key, mutant) for mutant in slips]
    console = Console()
    faults, notes = [], []
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in LOADED_BEFORE:
        import_module(name)
    with ThreadPoolExecutor(chosen.workers) as pool:
        results = pool.map(lambda pair: outcome(*pair), work)
        for result in track(results, "slips", total=len(work), console=console):
            faults += [result.fault] if result.fault else []
            notes += [result.note] if result.note else []
            if result.fault or result.note:
                console.print(result.fault or result.note)
    console.print(f"{len(slips)} slips tried, {len(faults)} problems, {len(notes)} caught by make test-all alone")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
