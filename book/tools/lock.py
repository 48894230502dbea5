"""Resolve pyproject.toml into requirements.lock: every package of every extra, for all supported Pythons and systems.

python book/tools/lock.py [PACKAGE ...]     upgrade only the packages named; all of them where none is
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from chapters import REPOSITORY

OPTIONS = [
    "--universal",
    "--python-version",
    "3.11",
    "--all-extras",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="*", help="upgrade only these")
    chosen = parser.parse_args().package
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        sys.exit("the lock is made by uv: .venv/bin/python -m pip install uv, or see its own instructions")
    packages = [f"--upgrade-package={package}" for package in chosen] or ["--upgrade"]
    command = [uv, "pip", "compile", *OPTIONS, *packages, "pyproject.toml", "-o", "requirements.lock"]
    return subprocess.run(command, cwd=REPOSITORY).returncode


if __name__ == "__main__":
    sys.exit(main())
