"""Judge anew the papers whose verdicts are stale, each in a process of its own, and stamp them.

python book/tools/verdicts.py             the stale ones
python book/tools/verdicts.py KEY ...     these papers, in any case
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import stamp
from chapters import REPOSITORY, kernel_environment

TRACE = Path(__file__).with_name("trace.py")


def traced(code: str, repository: Path = REPOSITORY) -> dict:
    """Run code in a fresh interpreter; what it read, listed and imported, as trace.py reports it.

    Raises:
        subprocess.CalledProcessError: the code failed; its message is on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        given = {"__name__": "trace", "ROOT": str(repository), "REPORT": str(report)}
        source = TRACE.read_text(encoding="utf-8")
        lines = [f"exec(compile({source!r}, 'trace.py', 'exec'), {given!r})", code]
        script = "\n".join([*lines, "__import__('sys').audit('attnlib.book.report')"])
        subprocess.run([sys.executable, "-c", script], cwd=repository, env=kernel_environment(), check=True)
        return json.loads(report.read_text(encoding="utf-8"))


def judge(key: str, repository: Path = REPOSITORY) -> None:
    """Compute the verdicts and costs of one paper, file and stamp them."""
    found = traced(f"import attnlib; attnlib.paper({key!r}).recompute()", repository)
    result = str(repository / "attnlib" / "papers" / key / "verdicts.json")
    dependencies = stamp.depends_on([*found["read"], result], found["listed"], found["imported"], repository)
    stamp.file_stamp(f"verdicts-{key}", dependencies, repository)


def main() -> int:
    known = stamp.papers()
    for key in sys.argv[1:]:
        if key not in known:
            sys.exit(f"no paper {key}; there are: {', '.join(known)}")
    failed = False
    for key in sys.argv[1:] or [key for key in known if stamp.reasons_of_file(f"verdicts-{key}")]:
        print(f"{key}: judging", flush=True)
        try:
            judge(key)
        except subprocess.CalledProcessError:
            print(f"{key}: not filed, see above", flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
