"""Build the static site from the committed outputs: nothing is executed, and every warning is an error.

python book/tools/build.py            only what changed
python book/tools/build.py --fresh    from nothing

python book/tools/build.py --instructor   with the classroom's sets and their solutions, in _build/instructor

With SOLUTIONS=no in the environment it builds another site, in _build/without-solutions, in which no solution is left.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from chapters import REPOSITORY
from instructor import copy_with_sets
from solutions import copy_without_solutions


def build(sources: Path) -> int:
    """Build the site of a folder of sources; the exit status."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")  # this environment's, whatever is on PATH
    command = [jupyter_book, "build", ".", "-n", "-W", "--keep-going", "-q"]
    done = subprocess.run(command, cwd=sources, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        print(f"The book is at {sources / '_build/html/index.html'}")
    else:
        print(done.stdout)
        # Sphinx warns only about the pages it reads: without this, the next build would pass over this one's faults.
        shutil.rmtree(sources / "_build/.doctrees", ignore_errors=True)
    return done.returncode


def main() -> int:
    wanted = os.environ.get("SOLUTIONS") or "yes"
    if wanted not in ("yes", "no"):  # a slip must not publish the solutions
        sys.exit(f"SOLUTIONS is yes or no, got {wanted!r}")
    if "--instructor" in sys.argv[1:]:
        sources = REPOSITORY / "_build" / "instructor"
        copy_with_sets(REPOSITORY, sources)
        return build(sources)
    if "--fresh" in sys.argv[1:]:
        shutil.rmtree(REPOSITORY / "_build", ignore_errors=True)
    if wanted == "yes":
        return build(REPOSITORY)
    sources = REPOSITORY / "_build" / "without-solutions"
    copy_without_solutions(REPOSITORY, sources)
    return build(sources)


if __name__ == "__main__":
    sys.exit(main())
