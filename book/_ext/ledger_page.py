"""The page of the ledger: every claim and every printed cost with what this code gives, as HTML with filters.

Read from the files in attnlib/results/ledger; nothing is imported, and nothing is computed here.
"""

import ast
import json
from collections import Counter
from html import escape
from pathlib import Path

from docutils.nodes import make_id

WORDS = ("holds", "holds with a note", "does not hold", "awaits a record", "not testable here")


def ledgers(repository: Path) -> list[dict]:
    folder = repository / "attnlib" / "results" / "ledger"
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def counts(repository: Path) -> str:
    """One sentence with the counts of the whole ledger."""
    found = ledgers(repository)
    words = Counter(v["verdict"] for ledger in found for v in ledger["verdicts"])
    cells = [cell for ledger in found for cell in ledger["cells"]]
    recomputed = sum(cell["measured"] is not None for cell in cells)
    agree = sum(cell["agrees"] is True for cell in cells)
    kinds = "; ".join(f"*{word}* {words[word]}" for word in WORDS if words[word])
    return (
        f"{words.total()} claims of {len(found)} papers: {kinds}. Of {len(cells)} printed costs {recomputed} are "
        f"recomputed, and {agree} of these agree to the printed digits."
    )


def page(repository: Path) -> str:
    """The filters, the table of claims and the tables of costs."""
    found = ledgers(repository)
    verdicts = [v for ledger in found for v in ledger["verdicts"]]
    rows = "\n".join(claim(v, repository) for v in verdicts)
    choices = "\n".join(
        [
            choice("paper", [ledger["paper"] for ledger in found]),
            choice("kind", sorted({v["kind"] for v in verdicts})),
            choice("verdict", [word for word in WORDS if any(v["verdict"] == word for v in verdicts)]),
        ]
    )
    return f"""<div class="ledger-filters" hidden>
{choices}
<label>text <input type="search" data-filter="text"></label>
<output aria-live="polite"></output>
</div>

<div class="pst-scrollable-table-container">
<table class="ledger claims">
<caption>Claims and computed verdicts</caption>
<thead><tr><th>claim</th><th>published</th><th>measured</th><th>verdict</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>

## Printed costs beside recomputed ones

{"".join(costs(ledger) for ledger in found if ledger["cells"])}"""


def choice(name: str, values: list[str]) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    return f'<label>{name} <select data-filter="{name}"><option value="">all</option>{options}</select></label>'


def claim(v: dict, repository: Path) -> str:
    """One row: what is claimed, how it is known, what was measured, and the code that measured it."""
    unit = f" <small>{escape(v['unit'])}</small>" if v["unit"] else ""
    tolerance = f" <small>± {number(v['tolerance'])}</small>" if v["tolerance"] else ""
    known = "" if v["confidence"] == "read" else f" <small>({escape(v['confidence'])})</small>"
    published = "–" if v["published"] is None else f"{number(v['published'])}{tolerance}{unit}{known}"
    measured = "–" if v["measured"] is None else number(v["measured"])
    details = [f"<p><small>{escape(v['source'])}</small></p>"]
    details += [f'<p class="note">{escape(v["note"])}</p>'] if v["note"] else []
    if v["check"]:
        # A blank line would end the HTML as far as Markdown is concerned.
        code = escape(source(repository, v["paper"], v["check"])).replace("\n", "&#10;")
        again = f"Again: <code>attnlib ledger --paper {v['paper']} --id {v['id']} --recompute</code>"
        details.append(f"<details><summary>how it is computed</summary><pre>{code}</pre><p>{again}</p></details>")
    data = "".join(f' data-{name}="{escape(v[name])}"' for name in ("paper", "kind", "verdict"))
    heading = f'<a href="#{v["id"]}"><code>{v["id"]}</code></a> <small>{escape(v["kind"])}</small>'
    return (
        f'<tr id="{v["id"]}"{data}><td>{heading}<p>{escape(v["claim"])}</p>{"".join(details)}</td>'
        f"<td>{published}</td><td>{measured}</td>"
        f'<td><span class="verdict {make_id(v["verdict"])}">{escape(v["verdict"])}</span></td></tr>'
    )


def source(repository: Path, paper: str, check: str) -> str:
    """The check's lines in attnlib/ledger/<paper>.py, then those of the file's own functions that it calls."""
    text = (repository / "attnlib" / "ledger" / f"{paper}.py").read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    shown = [check]
    for name in shown:  # grows meanwhile
        used = (node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name))
        shown += [each for each in dict.fromkeys(used) if each in functions and each not in shown]
    return "\n\n\n".join(ast.get_source_segment(text, functions[name]) for name in shown)


def costs(ledger: dict) -> str:
    """The printed costs of one paper, folded."""
    cells = ledger["cells"]
    recomputed = [cell for cell in cells if cell["measured"] is not None]
    agree = sum(cell["agrees"] for cell in recomputed)
    rows = "\n".join(
        f"<tr><td>{escape(cell['table'])}: {escape(cell['row'])}</td><td>{escape(cell['unit'])}</td>"
        f"<td>{number(cell['published'])}</td>"
        + (
            f"<td>{number(cell['measured'])}</td><td>{'yes' if cell['agrees'] else '<b>no</b>'}</td></tr>"
            if cell["measured"] is not None
            else f'<td colspan="2"><small>{escape(cell["reason"])}</small></td></tr>'
        )
        for cell in cells
    )
    summary = f"{ledger['paper']}: {len(cells)} printed, {len(recomputed)} recomputed, {agree} agree"
    return f"""<details class="costs"><summary>{summary}</summary>
<div class="pst-scrollable-table-container">
<table class="ledger">
<caption>{summary}</caption>
<thead><tr><th>table and row</th><th>unit</th><th>published</th><th>measured</th><th>agrees</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</details>
"""


def number(value: float) -> str:
    """Six significant digits, with narrow no-break spaces between thousands of whole numbers."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.6g}"
