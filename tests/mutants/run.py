"""Make one slip at a time in a copy of the package and see that the tests of that module fail.

python -m tests.mutants.run [KEY ...]     the slips of tests/mutants/KEY.yml; of all files where no key is given

Exit status 1 where a slip survives, or where the tests fail without any.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PASSED, FAILED = 0, 1  # exit statuses of pytest; any other says that the tests could not run


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


def run_tests(key: str, mutant: Mutant | None) -> int:
    """pytest's exit status on a copy of the repository with the slip in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("attnlib", "benchmarks", "tests"):
            shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "records"))
        shutil.copy(REPOSITORY / "pyproject.toml", copy)
        if mutant is not None:
            (copy / mutant.file).write_text(mutant.source(), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-m",
            "not export",
            "-p",
            "no:cacheprovider",
            *tests_of(key),
        ]
        environment = os.environ | {"ATTNLIB_CASES": key, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy)}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True).returncode


def verdict(key: str, mutant: Mutant | None) -> str:
    """Empty where all is well, else what is wrong."""
    status = run_tests(key, mutant)
    if mutant is None:
        return "" if status == PASSED else f"{key}: its tests do not pass without a slip (exit status {status})"
    if status == PASSED:
        return f"{key}: SURVIVED: {mutant.slip}"
    return "" if status == FAILED else f"{key}: the tests could not run with: {mutant.slip} (exit status {status})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key", nargs="*", choices=[[], *keys()], help="a module; all of them where none is given")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time (default 2)")
    chosen = parser.parse_args()
    work = [(key, mutant) for key in chosen.key or keys() for mutant in (None, *mutants(key))]
    console = Console()
    with ThreadPoolExecutor(chosen.workers) as pool:
        results = pool.map(lambda pair: verdict(*pair), work)
        problems = [result for result in track(results, "slips", total=len(work), console=console) if result]
    tried = sum(mutant is not None for _, mutant in work)
    console.print(*problems, f"{tried} slips tried, {len(problems)} problems", sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
