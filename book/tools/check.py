"""What `make test` runs, part by part, with the minutes of each at the end.

Every part runs even where an earlier one failed, so that one run shows all there is to mend; only the tests of the
built site need the build before them.
"""

import subprocess
import sys
import time
from pathlib import Path

from chapters import REPOSITORY, kernel_environment, notebooks

TOOLS = Path(__file__).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
TWO_AT_A_TIME = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
# The export tests are one file, which loadscope would leave to one worker.
TEST_BY_TEST = ["-n", "2", "--dist", "worksteal"]
# Wrong shapes are errors; compile and export cannot run under this option.
SHAPES = "--jaxtyping-packages=attnlib,beartype.beartype"
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120", *TWO_AT_A_TIME]

PARTS = {
    "pairs": [sys.executable, TOOLS / "pairs.py"],
    "stamps": [sys.executable, TOOLS / "stamp.py"],
    "outputs": [sys.executable, TOOLS / "outputs.py"],
    "imports": [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
    "unit tests": [*PYTEST, "tests", "--ignore=tests/site", "-m", "not export", SHAPES, *TWO_AT_A_TIME],
    "export tests": [*PYTEST, "tests", "--ignore=tests/site", "-m", "export", *TEST_BY_TEST],
    "notebooks": [*PYTEST, *NBVAL, *notebooks()],
    "build": [sys.executable, TOOLS / "build.py", "--fresh"],
    "site": [*PYTEST, "tests/site"],
}


def main() -> int:
    if not notebooks():  # without a path, pytest would run the unit tests once more and call the chapters passed
        sys.exit("there is no notebook below notebooks/; restore them, or make them from their .py with `make sync`")
    results = {}
    for name, command in PARTS.items():
        print(f"\n== {name}", flush=True)
        if name == "site" and not results["build"][0]:
            print("not run: there is no site, because the build failed")
            results[name] = (False, 0.0)
            continue
        start = time.perf_counter()
        code = subprocess.run(command, cwd=REPOSITORY, env=kernel_environment()).returncode
        # pytest's 5 is "no tests": no failure where a marker selects none
        results[name] = (code == 0 or (code == 5 and name == "export tests"), time.perf_counter() - start)
    print(f"\n{'part':<14}{'result':<9}minutes")
    for name, (passed, seconds) in results.items():
        print(f"{name:<14}{'passed' if passed else 'FAILED':<9}{seconds / 60:7.1f}")
    return int(not all(passed for passed, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
