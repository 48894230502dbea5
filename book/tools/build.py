"""Build the static site from the committed outputs: nothing is executed, and every warning is an error."""

import subprocess
import sys
from pathlib import Path

from chapters import REPOSITORY


def main() -> int:
    jupyter_book = Path(sys.executable).with_name("jupyter-book")  # this environment's, whatever is on PATH
    command = [jupyter_book, "build", ".", "-n", "-W", "--keep-going", "-q"]
    code = subprocess.run(command, cwd=REPOSITORY).returncode
    if code == 0:
        print(f"The book is at {REPOSITORY / '_build/html/index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
