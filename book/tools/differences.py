"""A pytest plugin for nbval: a failed cell is told by its chapter and first line, committed -> new, and the way out.

pytest -p book.tools.differences --nbval-lax ... notebooks
"""

import re
from collections import defaultdict
from collections.abc import Collection
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

import pytest

MOST = 12  # lines of a difference that are shown
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call" and report.failed and hasattr(item, "cell"):
        report.longrepr = describe(item, call.excinfo.value)


def describe(item, error: Exception) -> str:
    """What is said of a failed cell."""
    name = item.path.relative_to(Path(item.config.rootpath)).as_posix()
    lines = [f"{name}, the cell that begins: {first_line(item.cell.source)}"]
    if "outputs differ" in str(error):
        lines += differences(item.cell.outputs, item.test_outputs, item.parent.skip_compare)
        lines.append(f"If the new one is right: make execute NB={name}")
    else:
        lines += [str(error), getattr(error, "inner_traceback", None) or "", f"Again: make execute NB={name}"]
    return COLOURS.sub("", "\n".join(lines))


def first_line(source: str) -> str:
    """Of a cell: its first line with code."""
    lines = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return lines[0] if lines else source.partition("\n")[0]


def differences(committed: list, new: list, skip: Collection[str]) -> list[str]:
    """Lines "committed -> new", for each kind of output that nbval compares."""
    old, fresh = by_kind(committed, skip), by_kind(new, skip)
    found = []
    for kind in sorted({*old, *fresh}):
        before, after = (side[kind] for side in (old, fresh))
        if before != after:
            found += [f"  {kind}, committed -> new:", *(f"    {line}" for line in changed_lines(before, after))]
    return found


def changed_lines(before: list[str], after: list[str]) -> list[str]:
    changes = []
    for tag, i, j, k, m in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag != "equal":
            pairs = zip_longest(before[i:j], after[k:m], fillvalue="(nothing)")
            changes += [f"{old} -> {new}" for old, new in pairs]
    more = len(changes) - MOST
    return [*changes[:MOST], f"and {more} lines more"] if more > 0 else changes


def by_kind(outputs: list, skip: Collection[str]) -> dict[str, list[str]]:
    """{stdout, text/plain, text/html ...: its lines}, without what nbval passes over."""
    found: dict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output.output_type == "stream":
            found[output.name] += output.text.splitlines()
        for kind, content in output.get("data", {}).items():
            if kind not in skip:
                found[kind] += str(content).splitlines()
        if output.output_type == "error":
            found["error"].append(f"{output.ename}: {output.evalue}")
    return found
