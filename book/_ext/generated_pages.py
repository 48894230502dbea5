"""Sphinx extension: fills the marks `<!-- generated: NAME -->` in pages with what can be read from the repository.

status   the table of notebooks with lane, time and versions, from their stamps
rooms    the rooms of attnlib with what each says of itself (their own pages are written when a build begins)
map      the map of the field on the landing page, every module a link to its chapter
hook     three findings on the landing page; found has the others
speed    images per second of the training loop beside the usual one, from the benchmark's tables
palette  the colour and the marker of every module, from attnlib/plots/colours.py
sets     the classroom's sets with their minutes and points
counts   how many claims have which verdict; told: ten of them in sentences; overview: by paper; every_claim: all, in
         short (the papers' own pages are written when a build begins)
"""

import json
import re
from html import escape
from pathlib import Path

import api_pages
import classroom_page
import findings
import ledger_page
import palette
import written
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from attnlib.plain import in_markdown

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MARK = re.compile(r"<!-- generated: (\w+) -->")

# ---- status ----


def status() -> str:
    """A Markdown table with one row for each notebook."""
    rows = ["| chapter | lane | ran on | seconds | versions |", "| --- | --- | --- | ---: | --- |"]
    for path in sorted((REPOSITORY / "notebooks").rglob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        stamp = safe(notebook["metadata"].get("stamp"))
        if stamp and not path.parent.name.startswith("."):
            versions = ", ".join(f"{name} {version}" for name, version in stamp["versions"].items())
            link = f"[{title(notebook)}](/{path.relative_to(REPOSITORY).as_posix()})"
            rows.append(f"| {link} | {stamp['lane']} | {stamp['device']} | {stamp['seconds']} | {versions} |")
    return "\n".join(rows)


def safe(data: object) -> object:
    """JSON whose strings are fit for a line of Markdown."""
    if isinstance(data, dict):
        return {in_markdown(key): safe(value) for key, value in data.items()}  # ours are words, which stay
    if isinstance(data, list):
        return [safe(value) for value in data]
    return in_markdown(data) if isinstance(data, str) else data


def title(notebook: dict) -> str:
    """The text of the first heading."""
    text = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return re.search(r"^# (.+)$", text, re.MULTILINE).group(1)


# ---- map ----

FIELD = {
    ("scale_attention", "Scale attention: rescale what is there"): {
        "one factor for each channel": ["se SE 2018", "eca ECA 2020", "iebn IEBN 2020", "sem SEM 2022"],
        "a factor for each channel and position": [
            "residual_attention Residual attention 2017",
            "ge Gather-Excite 2018",
            "bam BAM 2018",
            "cbam CBAM 2018",
            "sge SGE 2019",
            "triplet Triplet 2021",
            "nam NAM 2021",
            "sa SA 2021",
        ],
    },
    ("self_attention", "Self-attention: mix positions"): {
        "every position looks at all others": [
            "dot_product Dot product 2017",
            "non_local Non-local 2018",
            "ocnet OCNet 2018",
            "sagan SAGAN 2019",
        ],
        "every position looks at its neighbourhood": ["sasa Stand-alone 2019"],
    },
}
WIDTH, PILL, GAP, LETTER = 480, 28, 8, 8.2


def field_map(root: str = "") -> str:
    """The map as inline SVG, which follows the theme's colours; every module links to its chapter, from `root` on."""
    drawn, y = [], 4
    for (family, heading), groups in FIELD.items():
        top, inside = y, []
        inside.append(f'<text x="16" y="{y + 26}" font-size="17" font-weight="700">{heading}</text>')
        y += 42
        for label, entries in groups.items():
            inside.append(f'<text x="16" y="{y + 12}" font-size="14">{label}</text>')
            y, x = y + 22, 16
            for item in entries:
                key, name = item.split(" ", 1)
                width = LETTER * len(name) + 20
                if x + width > WIDTH - 16:
                    x, y = 16, y + PILL + GAP
                inside.append(pill(f"{root}notebooks/{family}/{key}.html", name, x, y, width))
                x += width + GAP
            y += PILL + 14
        drawn.append(f'<rect class="box" x="2" y="{top}" width="{WIDTH - 4}" height="{y - top}" rx="10"/>')
        drawn += inside
        y += 12
    groups = (
        f"{heading}. {label}: {', '.join(entry.split(' ', 1)[1] for entry in entries)}"
        for (_, heading), groups in FIELD.items()
        for label, entries in groups.items()
    )
    alternative = f"Map of the field, each module a link to its chapter. {'. '.join(groups)}."
    opening = f'<svg class="field-map" role="group" aria-label="{escape(alternative)}" viewBox="0 0 {WIDTH} {y}">'
    return "\n".join([opening, *drawn, "</svg>"])


def pill(link: str, name: str, x: float, y: float, width: float) -> str:
    """One module of the map."""
    label = f'<text x="{x + width / 2:.1f}" y="{y + 19}" font-size="13" text-anchor="middle">{name}</text>'
    box = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{PILL}" rx="14"/>'
    return f'<a href="{link}">{box}{label}</a>'


# ---- speed ----

BENCHMARKS = REPOSITORY / "attnlib" / "results" / "benchmarks"


def speed() -> str:
    """A table for each device on which `benchmarks/training.py` has run, and what the ways reach; or that none has."""
    parts = [loop_table(safe(json.loads(path.read_text()))) for path in sorted(BENCHMARKS.glob("*-loop.json"))]
    parts += [reached(safe(json.loads(path.read_text()))) for path in sorted(BENCHMARKS.glob("*-loop-accuracy.json"))]
    if not list(BENCHMARKS.glob("cuda-loop.json")):
        parts.append("No GPU has been measured yet: `python -m benchmarks.training --device cuda` does it.")
    return "\n\n".join(parts)


def loop_table(table: dict) -> str:
    """Images per second, ratios with their quartiles, and where a step's time goes."""
    machine, settings = table["machine"], table["settings"]
    where = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    lines = [
        f"Training steps of {settings['batch_size']} images with crops and flips, on {where}, PyTorch "
        f"{table['versions']['torch']}, {table['date'][:10]}. The usual loop has a DataLoader with "
        f"{settings['workers']} worker processes, torchvision's transforms, fp32. The ways, each in its own process, "
        f"took {settings['steps']} steps in turn, {settings['turns']} times; the ratio is the median, with its "
        "quartiles. Utilisation is what a step multiplies and adds in a second / what the product of two large "
        "matrices does, in the same precision on the same machine.",
        "",
        "| network | way | images/s | times as fast as the usual loop | share of a step for its batch | utilisation |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in table["rows"]:
        share = "" if row["input_share"] is None else f"{row['input_share']:.1%}"
        ratio = f"{row['ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
        lines.append(
            f"| {row['network']} | {row['way']} | {row['images_per_second']:.0f} | {ratio} | {share} | "
            f"{row['utilisation']:.0%} |"
        )
    return "\n".join(lines)


def reached(table: dict) -> str:
    """Whether speed costs accuracy: the mean over the seeds with the single runs."""
    ways: dict[str, list[float]] = {}
    for row in table["rows"]:
        ways.setdefault(row["way"], []).append(100 * row["accuracy"])
    lines = [
        f"What they reach ({table['settings']['about']}, test accuracy after the last epoch, in percent):",
        "",
        "| way | mean | single runs |",
        "| --- | ---: | --- |",
    ]
    for way, found in ways.items():
        lines.append(f"| {way} | {sum(found) / len(found):.1f} | {', '.join(f'{each:.1f}' for each in found)} |")
    return "\n".join(lines)


# ---- Sphinx ----

GENERATE = {
    "status": status,
    "rooms": api_pages.overview,
    "map": field_map,
    "speed": speed,
    "palette": lambda: palette.palette(REPOSITORY),
    "sets": lambda: classroom_page.sets(REPOSITORY / "notebooks" / "assignments"),
    "counts": ledger_page.counts,
    "told": ledger_page.told,
    "overview": ledger_page.overview,
    "every_claim": ledger_page.every_claim,
    "hook": findings.hook,
    "found": findings.others,
}
PAGES = {
    "book/status": ("status",),
    "book/api": ("rooms",),
    "book/ledger": ("counts", "told", "overview", "every_claim"),
    "book/training": ("speed",),
    "book/classroom": ("sets",),
    "book/notation": ("palette",),
    "index": ("hook", "map", "counts", "found"),
    "notebooks/introduction/two_families": ("map",),
}


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the marks of a page before it is parsed; of a notebook this is the text of its JSON."""
    if docname.startswith("notebooks/"):
        generate = {"map": lambda: json.dumps(field_map("../" * docname.count("/")))[1:-1]}
    else:
        generate = GENERATE
    source[0] = MARK.sub(lambda mark: generate[mark.group(1)](), source[0])


def outdated(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """The pages whose generated part differs from the one in the last build: what it shows lies outside their file."""
    old = getattr(env, "generated_parts", {})
    env.generated_parts = {page: [GENERATE[name]() for name in names] for page, names in PAGES.items()}
    return [page for page, parts in env.generated_parts.items() if old.get(page) != parts]


def mend(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """What screen readers cannot use: citations as a list without items, arguments as definitions without terms."""
    if "body" in context:
        body = context["body"].replace('role="list" class="citation-list"', 'class="citation-list"')
        context["body"] = re.sub(r'<dt class="sig .*?</dt>', arguments_as_lines, body, flags=re.DOTALL)


def arguments_as_lines(signature: re.Match) -> str:
    lines = signature[0].replace("<dl>", '<span class="arguments">').replace("</dl>", "</span>")
    return lines.replace("<dd>", "<span>").replace("</dd>", "</span>")


def write_pages(app: Sphinx, config: Config) -> None:
    """The pages of the papers and of the package, before the table of contents looks for them."""
    written.write_folder(Path(app.srcdir) / "book" / "ledger", ledger_page.papers_pages())
    written.write_folder(Path(app.srcdir) / "book" / "api", api_pages.rooms())


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", write_pages, priority=100)
    app.connect("viewcode-find-source", api_pages.source)
    app.connect("html-page-context", mend)
    app.connect("source-read", fill)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
