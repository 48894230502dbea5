#!/usr/bin/env python3
"""Make .venv from requirements.lock and install attnlib into it, without its dependencies, as an editable package.

    python3 book/tools/environment.py [INTERPRETER]

Silent when nothing has changed since the last time. INTERPRETER asks for one Python; where .venv holds another
version, it is made anew. Any Python 3.6 or later can run this file: it needs the standard library alone.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
VENV = REPOSITORY / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
MARKER = VENV / "attnlib-setup.txt"
OLDEST, NEWEST = (3, 11), (3, 14)
RANGE = "{}.{} to {}.{}".format(*(OLDEST + NEWEST))


def quiet(command):
    """The output of a command, or None where it does not run or fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None


def loud(command):
    """Run a command in the repository with its output shown; True where it succeeds."""
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=str(REPOSITORY), stdin=subprocess.DEVNULL).returncode == 0


def version_of(interpreter):
    """(3, 11) for an interpreter that runs, None for one that does not."""
    answer = quiet([str(interpreter), "-c", "import sys; print(*sys.version_info[:2])"])
    return tuple(map(int, answer.split())) if answer else None


def find_interpreter(asked):
    """A supported Python: the one asked for, else the one running this file, else any on PATH, else uv's own."""
    if asked:
        version = version_of(asked)
        if version is None:
            sys.exit("PYTHON={} does not run; give the path of a Python {}".format(asked, RANGE))
        if not OLDEST <= version <= NEWEST:
            sys.exit("PYTHON={} is Python {}.{}; the book needs Python {}".format(asked, version[0], version[1], RANGE))
        return asked
    names = ["python3.{}".format(minor) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    for candidate in [sys.executable, "python3"] + names:
        if OLDEST <= (version_of(candidate) or (0, 0)) <= NEWEST:
            return candidate
    return uv_interpreter()


def uv_interpreter():
    """A Python that uv finds or downloads; uv itself comes from PATH, or from pip in a throw-away environment."""
    print("No Python {} on PATH; asking uv for one.".format(RANGE), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        uv = shutil.which("uv")
        if uv is None and loud([sys.executable, "-m", "venv", folder]):
            python = os.path.join(folder, BIN.name, "python")
            if loud([python, "-m", "pip", "install", "--quiet", "uv"]):
                uv = os.path.join(folder, BIN.name, "uv")
        if uv and loud([uv, "python", "install", "3.13"]):
            found = quiet([uv, "python", "find", "3.13"])
            if found:
                return found
    sys.exit(
        "The book needs Python {}, found none, and uv could not fetch one. Install one (on Debian: "
        "apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.13 book".format(RANGE)
    )


def make_venv(interpreter):
    """An empty .venv with that interpreter."""
    uv = shutil.which("uv")
    print("Making .venv with {}.".format(quiet([str(interpreter), "--version"])), flush=True)
    if uv and loud([uv, "venv", "--quiet", "--clear", "--python", interpreter, VENV]):
        return
    if not loud([interpreter, "-m", "venv", "--clear", VENV]):
        sys.exit("{} could not make .venv; on Debian: apt-get install python3-venv".format(interpreter))


def find_installer():
    """The command that installs into .venv: uv from PATH, else uv fetched by pip, else pip."""
    quietly = [] if sys.stderr.isatty() else ["--quiet"]  # progress bars are for people
    uv = shutil.which("uv") or shutil.which("uv", path=str(BIN))
    if uv is None:
        if quiet([str(PYTHON), "-m", "pip", "--version"]) is None:  # an environment that uv made earlier
            loud([PYTHON, "-m", "ensurepip"])
        loud([PYTHON, "-m", "pip", "install", "--quiet", "uv"])
        uv = shutil.which("uv", path=str(BIN))
    if uv:
        return [uv, "pip", "install", "--python", PYTHON] + quietly
    return [PYTHON, "-m", "pip", "install"] + quietly


def digest(*names):
    return hashlib.sha256(b"".join((REPOSITORY / name).read_bytes() for name in names)).hexdigest()


def dependencies(text):
    """The tables of pyproject.toml that decide what is installed: [tool.*] may change without a new set-up."""
    return "".join(re.findall(r"(?ms)^\[(?:build-system|project[^]]*)\]\n.*?(?=^\[|\Z)", text))


def main():
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    wanted = [
        "lock " + digest("requirements.lock"),
        "project " + hashlib.sha256(dependencies(pyproject).encode()).hexdigest(),
        "at " + str(REPOSITORY),  # an editable installation knows its folder: a moved checkout is set up again
    ]
    present = MARKER.read_text(encoding="utf-8").splitlines() if MARKER.exists() else []
    current = version_of(PYTHON)
    # A wrong interpreter must be refused before .venv is touched, so it is looked for first.
    right_python = current is not None and (not asked or version_of(asked) == current)
    if right_python and present == wanted:
        return
    if not right_python or not OLDEST <= current <= NEWEST:
        make_venv(find_interpreter(asked))
        present = []
    install = find_installer()
    if wanted[0] not in present:
        print("Installing requirements.lock into .venv (about 6 GB on Linux).", flush=True)
        if not loud(install + ["--require-hashes", "-r", "requirements.lock"]):
            sys.exit("The set-up did not finish: see the message above, then run the same command again.")
    # The build backend is in the lock, so this step needs no network.
    if not loud(install + ["--no-deps", "--no-build-isolation", "-e", "."]):
        sys.exit("attnlib could not be installed into .venv: see the message above.")
    temporary = MARKER.with_suffix(".tmp")
    temporary.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    os.replace(str(temporary), str(MARKER))


if __name__ == "__main__":
    main()
