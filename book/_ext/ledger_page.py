"""The page of the ledger: every claim and every printed cost with what this code gives, as HTML with filters.

What is on file is shown; nothing is computed here.
"""

from collections import Counter

from docutils.nodes import make_id

from attnlib import papers
from attnlib.plain import in_html


def every_paper() -> list[papers.Paper]:
    return [papers.paper(key) for key in papers.list_papers()]


def counts() -> str:
    """One sentence with the counts of the whole ledger."""
    found = every_paper()
    words = Counter(v.verdict for paper in found for v in paper.verdicts(most=None))
    cells = [cell for paper in found for cell in paper.cells]
    recomputed = sum(cell.measured is not None for cell in cells)
    agree = sum(cell.agrees is True for cell in cells)
    kinds = Counter(v.disagreement for paper in found for v in paper.verdicts(most=None) if v.disagreement)
    by_kind = _counted(kinds, [kind for kind, _ in kinds.most_common()])
    return (
        f"{words.total()} claims of {len(found)} papers: {_counted(words, papers.by_unkindness(words))}. Where a "
        f"figure differs, the kind of disagreement is: {by_kind}. "
        f"Of {len(cells)} printed costs {recomputed} are recomputed, and {agree} of these agree to the printed digits."
    )


def _counted(counts: Counter, order: list[str]) -> str:
    return "; ".join(f"*{name}* {counts[name]}" for name in order)


def page() -> str:
    """The filters, the table of claims and the tables of costs."""
    found = every_paper()
    verdicts = [(paper, v) for paper in found for v in paper.verdicts(most=None)]
    rows = "\n".join(claim(v, paper.code_of(v.id)) for paper, v in verdicts)
    choices = "\n".join(
        [
            choice("paper", [paper.key for paper in found]),
            choice("kind", sorted({v.kind for _, v in verdicts})),
            choice("verdict", papers.by_unkindness(v.verdict for _, v in verdicts)),
            choice("disagreement", sorted({v.disagreement for _, v in verdicts if v.disagreement})),
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

{"".join(costs(paper) for paper in found if paper.cells)}"""


def choice(name: str, values: list[str]) -> str:
    options = "".join(f"<option>{in_html(value)}</option>" for value in values)
    return f'<label>{name} <select data-filter="{name}"><option value="">all</option>{options}</select></label>'


def claim(v: papers.Verdict, code: str | None) -> str:
    """One row: what is claimed, how it is known, what was measured, and the code that measured it."""
    identity = in_html(v.id)
    unit = f" <small>{in_html(v.unit)}</small>" if v.unit else ""
    tolerance = f" <small>± {number(v.tolerance)}</small>" if v.tolerance else ""
    known = "" if v.confidence == "read" else f" <small>({in_html(v.confidence)})</small>"
    published = "–" if v.published is None else f"{number(v.published)}{tolerance}{unit}{known}"
    measured = "–" if v.measured is None else number(v.measured)
    details = [f"<p><small>{in_html(v.source)}</small></p>"]
    details += [f'<p class="note">{in_html(v.note)}</p>'] if v.note else []
    details += [evidence(found) for found in v.evidence]
    if code is not None:
        # A blank line would end the HTML as far as Markdown is concerned.
        shown = in_html(code, one_line=False).replace("\n", "&#10;")
        again = f"Again: <code>attnlib ledger --paper {in_html(v.paper)} --id {identity} --recompute</code>"
        details.append(f"<details><summary>how it is computed</summary><pre>{shown}</pre><p>{again}</p></details>")
    filters = ("paper", "kind", "verdict", "disagreement")
    data = "".join(f' data-{name}="{in_html(getattr(v, name) or "")}"' for name in filters)
    disagreement = f"<br><small>{in_html(v.disagreement)}</small>" if v.disagreement else ""
    heading = f'<a href="#{identity}"><code>{identity}</code></a> <small>{in_html(v.kind)}</small>'
    return (
        f'<tr id="{identity}"{data}><td>{heading}<p>{in_html(v.claim)}</p>{"".join(details)}</td>'
        f"<td>{published}</td><td>{measured}</td>"
        f'<td><span class="verdict {make_id(v.verdict)}">{in_html(v.verdict)}</span>{disagreement}</td></tr>'
    )


def evidence(found: papers.Evidence) -> str:
    """What others found of a claim; the verdict does not rest on it."""
    figures = ", ".join(f"{in_html(name)} {number(value)}" for name, value in found.numbers.items())
    return (
        f'<p class="evidence"><b>Evidence that {in_html(found.says)} it:</b> {in_html(found.text)} '
        f"<small>({figures}; {in_html(found.source)})</small></p>"
    )


def costs(paper: papers.Paper) -> str:
    """The printed costs of one paper, folded."""
    cells = paper.cells
    recomputed = [cell for cell in cells if cell.measured is not None]
    agree = sum(cell.agrees for cell in recomputed)
    rows = "\n".join(
        f"<tr><td>{in_html(cell.table)}: {in_html(cell.row)}</td><td>{in_html(cell.unit)}</td>"
        f"<td>{number(cell.published)}</td>"
        + (
            f"<td>{number(cell.measured)}</td><td>{'yes' if cell.agrees else '<b>no</b>'}</td></tr>"
            if cell.measured is not None
            else f'<td colspan="2"><small>{in_html(cell.reason)}</small></td></tr>'
        )
        for cell in cells
    )
    summary = f"{in_html(paper.key)}: {len(cells)} printed, {len(recomputed)} recomputed, {agree} agree"
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
{countings(paper)}</details>
"""


def countings(paper: papers.Paper) -> str:
    """Which rules of counting fit a table better than the one its file states: a sentence for each such table."""
    sentences = "".join(
        f"<li>{in_html(best.table)}, {in_html(best.quantity)}: under the rule “{in_html(best.rule)}” {best.agree} of "
        f"{best.cells} cells agree, as stated {stated.agree}.</li>\n"
        for stated, best in paper.better_countings
    )
    return f"<p>Other rules of counting, each for a whole table:</p>\n<ul>\n{sentences}</ul>\n" if sentences else ""


def number(value: float) -> str:
    """Six significant digits, with narrow no-break spaces between thousands of whole numbers."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.6g}"
