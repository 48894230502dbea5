"""Build the static site from the committed outputs: nothing is executed, and every warning is an error.

python book/tools/build.py            only what changed
python book/tools/build.py --fresh    from nothing
"""

import shutil
import subprocess
import sys
from pathlib import Path

from chapters import REPOSITORY


def main() -> int:
    built = REPOSITORY / "_build"
    if "--fresh" in sys.argv[1:]:
        shutil.rmtree(built, ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")  # this environment's, whatever is on PATH
    command = [jupyter_book, "build", ".", "-n", "-W", "--keep-going", "-q"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        print(f"The book is at {built / 'html/index.html'}")
    else:
        print(done.stdout)
        # Sphinx warns only about the pages it reads: without this, the next build would pass over this one's faults.
        shutil.rmtree(built / ".doctrees", ignore_errors=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
