"""The classroom's sets as a table, read from the first cell of each; their solutions are not opened."""

import re
from pathlib import Path

ROW = re.compile(r"^# \| (.+?) \| (\d+) \| (\d+|–) \|$", re.M)


def sets(folder: Path) -> str:
    """A Markdown table with a line for each set: title, minutes, points, questions; it fits a telephone."""
    rows = ["| set | its questions |", "| --- | --- |"]
    for path in sorted(folder.glob("*/set.py")):
        opening = path.read_text(encoding="utf-8").split("\n# %%", 1)[0]
        title = re.search(r"^# # Set (.+)$", opening, re.M).group(1)
        questions = ROW.findall(opening)
        names = "; ".join(re.sub(r"^\d+ ", "", name) for name, _, _ in questions)
        minutes = sum(int(each) for _, each, _ in questions)
        points = sum(int(each) for _, _, each in questions if each.isdigit())
        rows.append(f"| {title.replace(': ', ' ', 1)} ({minutes} minutes, {points} points) | {names} |")
    return "\n".join(rows)
