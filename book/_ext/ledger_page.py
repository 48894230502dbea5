"""The ledger: a page with what was found, and one a paper with its claims and printed costs beside what code gives.

What is on file is shown; nothing is computed here. The papers' pages are written to book/ledger/ when a build begins.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from docutils.nodes import make_id

import attnlib
from attnlib import papers
from attnlib.plain import in_html, in_markdown

# Ten sentences, the claim behind each; its note is the evidence. tests/book/test_findings.py holds their numbers.
TOLD = {
    "sa-parameters-resnet50": "Shuffle attention adds 708 parameters to ResNet-50, where 300 are printed.",
    "cbam-table-1-size": "CBAM's Table 1 prints 25.92 million parameters for a network that has 28.09; "
    "25.92 is what BAM's has.",
    "dot_product-vocabulary": "The Transformer's printed sizes fit a vocabulary of 40,931 to 41,161 tokens, "
    "as in the released code, and not the 37,000 of the text.",
    "sasa-flops-every-depth": "Attention throughout saves 0.0, 7.7 and 12.2 % of the operations at three depths; "
    "the caption says 12 % for all of them.",
    "nam-penalty-saves": "NAM's penalty saves nothing: with 14 of 16 scales at zero it takes 12,368 operations, "
    "with none at zero 12,368.",
    "eca-kernels-all": "ECA's rule gives another kernel than the released networks in 9 of 20 stages.",
    "ge-cheap": "Of Gather-Excite's three global forms, called cheap, one adds 21.7 % to ResNet-50's "
    "parameters and one 31.6 %.",
    "sagan-parameters-released": "SAGAN's released layer has 81,921 parameters, the one of the text 32,769.",
    "se-table-15-parameters": "SE's 25.8 million parameters hold: they are 25.77 where the means and variances of "
    "batch norms count, as Caffe stores them.",
    "bam-released-weights": "BAM's released ResNet-50 is better than printed: 76.86 % against 75.98 %.",
}


GROUPS = {"paper": "Claims of the paper", "code": "Paper against released code"}


def every_paper() -> list[papers.Paper]:
    return [papers.paper(key) for key in papers.list_papers()]


# ---- the page ----


def counts() -> str:
    """The counts of the whole ledger, in a few sentences."""
    found = every_paper()
    words = Counter(v.verdict for paper in found for v in paper.verdicts(most=None))
    kinds = Counter(v.disagreement for paper in found for v in paper.verdicts(most=None) if v.disagreement)
    by_kind = _counted(kinds, [kind for kind, _ in kinds.most_common()])
    return (
        f"{words.total()} claims of {len(found)} papers: {_counted(words, papers.by_unkindness(words))}. Where a "
        f"figure differs, the kind of disagreement is: {by_kind}. {_costs_counted(found)}"
    )


def _counted(counts: Counter, order: list[str]) -> str:
    return "; ".join(f"*{name}* {counts[name]}" for name in order)


def _costs_counted(found: Iterable[papers.Paper]) -> str:
    cells = [cell for paper in found for cell in paper.cells]
    recomputed = sum(cell.measured is not None for cell in cells)
    agree = sum(cell.agrees is True for cell in cells)
    return (
        f"Of {len(cells)} printed costs {recomputed} are recomputed, and {agree} of these agree to the printed digits."
    )


def told() -> str:
    """The ten sentences, each with the note of its claim and a link to it."""
    by_id = {v.id: v for paper in every_paper() for v in paper.verdicts(most=None)}
    rows = []
    for id, sentence in TOLD.items():
        v = by_id[id]
        rows.append(
            f"<li><p>{in_html(sentence)} {badge(v)}</p>"
            f'<p class="note">{in_html(v.note)} <a href="ledger/{v.paper}.html#{id}">The claim</a></p></li>'
        )
    return "\n".join(['<ol class="told">', *rows, "</ol>"])


def overview() -> str:
    """A row a paper: how many of its claims have which verdict, and how its costs fare."""
    words = papers.by_unkindness(v.verdict for paper in every_paper() for v in paper.verdicts(most=None))
    rows = []
    for paper in every_paper():
        found = Counter(v.verdict for v in paper.verdicts(most=None))
        recomputed = [cell for cell in paper.cells if cell.measured is not None]
        agree = f"{sum(cell.agrees for cell in recomputed)} of {len(recomputed)}" if recomputed else "–"
        rows.append(
            f'<tr><th scope="row"><a href="ledger/{paper.key}.html">{in_html(paper.name)}</a></th>'
            + "".join(f"<td>{found[word] or '–'}</td>" for word in words)
            + f"<td>{agree}</td></tr>"
        )
    heads, body = "".join(f'<th scope="col">{in_html(word)}</th>' for word in words), "\n".join(rows)
    return f"""<div class="pst-scrollable-table-container">
<table class="ledger papers">
<caption>The claims of each paper by verdict, and its printed costs that agree, of those recomputed</caption>
<thead><tr><th scope="col">paper</th>{heads}<th scope="col">costs that agree</th></tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>"""


def every_claim() -> str:
    """The filters, and a short row for each claim, which leads to the whole."""
    found = every_paper()
    verdicts = [v for paper in found for v in paper.verdicts(most=None)]
    choices = "\n".join(
        [
            choice("paper", [paper.key for paper in found]),
            choice("kind", list(GROUPS)),
            choice("verdict", papers.by_unkindness(v.verdict for v in verdicts)),
            choice("disagreement", sorted({v.disagreement for v in verdicts if v.disagreement})),
        ]
    )
    rows = "\n".join(
        f'<tr id="{in_html(v.id)}"{data(v)}><td><a href="ledger/{in_html(v.paper)}.html#{in_html(v.id)}">'
        f"{in_html(v.claim)}</a></td><td>{badge(v)}</td></tr>"
        for v in verdicts
    )
    return f"""<details class="every-claim"><summary>{len(verdicts)} claims</summary>
<div class="ledger-filters" hidden>
{choices}
<label>text <input type="search" data-filter="text"></label>
<output aria-live="polite"></output>
</div>
<table class="ledger short">
<caption>All claims</caption>
<thead><tr><th scope="col">claim</th><th scope="col">verdict</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</details>"""


def choice(name: str, values: list[str]) -> str:
    options = "".join(f"<option>{in_html(value)}</option>" for value in values)
    return f'<label>{name} <select data-filter="{name}"><option value="">all</option>{options}</select></label>'


def data(v: papers.Verdict) -> str:
    """What the filters look at."""
    names = ("paper", "kind", "verdict", "disagreement")
    return "".join(f' data-{name}="{in_html(getattr(v, name) or "")}"' for name in names)


def badge(v: papers.Verdict) -> str:
    """The verdict in words; its sign and colour are the style sheet's."""
    kind = f" <small>{in_html(v.disagreement)}</small>" if v.disagreement else ""
    return f'<span class="verdict {make_id(v.verdict)}">{in_html(v.verdict)}</span>{kind}'


# ---- a page a paper ----


def papers_pages() -> dict[str, str]:
    """The page of every paper by its key."""
    return {paper.key: paper_page(paper) for paper in every_paper()}


def paper_page(paper: papers.Paper) -> str:
    verdicts = paper.verdicts(most=None)
    words = Counter(v.verdict for v in verdicts)
    groups = "\n".join(group(paper, kind) for kind in GROUPS if any(v.kind == kind for v in verdicts))
    chapter = next(Path(__file__).parents[2].glob(f"notebooks/*/{paper.key}.ipynb"), None)
    link = f" [The chapter](/notebooks/{chapter.parent.name}/{chapter.name}) derives and trains it." if chapter else ""
    return f"""# Ledger: {in_markdown(paper.name)}

{{cite:t}}`{paper.key}`: *{in_markdown(paper.title)}*. {in_markdown(paper.known.sentence)}{link}

{words.total()} claims: {_counted(words, papers.by_unkindness(words))}. [The ledger](/book/ledger.md) says how a verdict
is made, and how to dispute one.

{groups}
## Printed costs beside recomputed ones

{costs(paper) if paper.cells else "The paper prints none."}
"""


def group(paper: papers.Paper, kind: str) -> str:
    """What the paper claims, or where paper and released code are held against each other."""
    rows = "\n".join(claim(v, paper.code_of(v.id)) for v in paper.verdicts(most=None) if v.kind == kind)
    return f"""## {GROUPS[kind]}

<table class="ledger claims">
<caption>{GROUPS[kind]}, with computed verdicts, the unkind ones first</caption>
<thead><tr><th scope="col">where</th><th scope="col">claim</th><th scope="col">published</th>
<th scope="col">measured</th><th scope="col">verdict</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
"""


def claim(v: papers.Verdict, code: str | None) -> str:
    """One row: what is claimed, how it is known, what was measured, the code that measured it, how to cite it."""
    identity = in_html(v.id)
    unit = f" <small>{in_html(v.unit)}</small>" if v.unit else ""
    tolerance = f" <small>± {number(v.tolerance)}</small>" if v.tolerance else ""
    known = "" if v.confidence == "read" else f" <small>({in_html(v.confidence)})</small>"
    published = "–" if v.published is None else f"{number(v.published)}{tolerance}{unit}{known}"
    measured = "–" if v.measured is None else number(v.measured)
    details = [f'<p class="note">{in_html(v.note)}</p>'] if v.note else []
    details += [evidence(found) for found in v.evidence]
    if code is not None:
        again = f"Again: <code>attnlib ledger --paper {in_html(v.paper)} --id {identity} --recompute</code>"
        details.append(folded("how it is computed", f"{verbatim(code)}<p>{again}</p>"))
    details.append(folded("cite, or load", verbatim(bibtex(v)) + verbatim(as_json(v))))
    cells = {
        "where": in_html(v.source),
        "claim": f'<p>{in_html(v.claim)}</p>{"".join(details)}<p><a href="#{identity}"><code>{identity}</code></a></p>',
        "published": published,
        "measured": measured,
        "verdict": badge(v),
    }
    row = "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in cells.items())
    return f'<tr id="{identity}"{data(v)}>{row}</tr>'


def folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"


def verbatim(text: str) -> str:
    """Lines as they are; a blank one would end the HTML as far as Markdown is concerned."""
    return f"<pre>{in_html(text, one_line=False).replace(chr(10), '&#10;')}</pre>"


def bibtex(v: papers.Verdict) -> str:
    """An entry for the verdict; the paper has its own, in the bibliography."""
    return f"""@misc{{{v.id},
  title = {{Claim {v.id}: {v.verdict}}},
  howpublished = {{The attention book, version {attnlib.__version__}, book/ledger/{v.paper}.html\\#{v.id}}}
}}"""


def as_json(v: papers.Verdict) -> str:
    return json.dumps(v.model_dump(mode="json"), indent=1, ensure_ascii=False)


def evidence(found: papers.Evidence) -> str:
    """What others found of a claim; the verdict does not rest on it."""
    figures = ", ".join(f"{in_html(name)} {number(value)}" for name, value in found.numbers.items())
    return (
        f'<p class="evidence"><b>Evidence that {in_html(found.says)} it:</b> {in_html(found.text)} '
        f"<small>({figures}; {in_html(found.source)})</small></p>"
    )


def costs(paper: papers.Paper) -> str:
    """The printed costs of one paper, folded, and which rules of counting fit its tables better."""
    rows = "\n".join(
        f"<tr><td>{in_html(cell.table)}: {in_html(cell.row)}</td><td>{in_html(cell.unit)}</td>"
        f"<td>{number(cell.published)}</td>"
        + (
            f"<td>{number(cell.measured)}</td><td>{'yes' if cell.agrees else '<b>no</b>'}</td></tr>"
            if cell.measured is not None
            else f'<td colspan="2"><small>{in_html(cell.reason)}</small></td></tr>'
        )
        for cell in paper.cells
    )
    return f"""<details><summary>{_costs_counted([paper])}</summary>
<div class="pst-scrollable-table-container">
<table class="ledger costs">
<caption>Printed and recomputed</caption>
<thead><tr><th scope="col">table and row</th><th scope="col">unit</th><th scope="col">published</th>
<th scope="col">measured</th><th scope="col">agrees</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</details>

{countings(paper)}"""


def countings(paper: papers.Paper) -> str:
    """Which rules of counting fit a table better than the one its file states: a sentence for each such table."""
    sentences = "".join(
        f"<li>{in_html(best.table)}, {in_html(best.quantity)}: under the rule “{in_html(best.rule)}” {best.agree} of "
        f"{best.cells} cells agree, as stated {stated.agree}.</li>\n"
        for stated, best in paper.better_countings
    )
    return f"<p>Other rules of counting, each for a whole table:</p>\n<ul>\n{sentences}</ul>\n" if sentences else ""


def number(value: float) -> str:
    """Six significant digits, two of the smallest; narrow no-break spaces between thousands of whole numbers."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.6g}" if abs(value) >= 1e-4 else f"{value:.1e}".replace("e-0", "e-")
