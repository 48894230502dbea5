"""Sphinx extension: mechanism pictures stand in the page itself, and its equations and comments take their colours.

    :::{mechanism}
    :name: se-mechanism

    ![Where SE sits](../../book/figures/se-block.svg)
    ![What SE does](../../book/figures/se-steps.svg)

    Where SE sits, and what it does to four channels.
    :::

The images name the pictures (Jupyter, which knows no directive, shows them as they are); what follows is the caption
of a numbered figure. On a wide page pictures stand side by side, on a phone one under the other.

The letters of a picture have a kind each (map, statistic, weight, gate, output). The same letters get its colour in
the equations and comments of the page, and of all pages of the same key (`se`, `se_deeper`), so that chapters
write plain TeX, which Jupyter and GitHub can show. `:symbols: \\mu:statistic y:-` adds a letter and leaves one plain.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FIGURES = Path(__file__).resolve().parent.parent / "figures"
GREEK = dict(zip("αβγδεζηθκλμνξπρστφϕχψω", (
    "alpha beta gamma delta varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau varphi phi chi psi omega"
).split(), strict=True))  # fmt: skip

# ---- the pictures ----


class Mechanism(SphinxDirective):
    has_content = True
    option_spec = {"name": directives.unchanged, "symbols": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        content = self.parse_content_to_nodes()
        paths = [Path(image["uri"]) for node in content for image in node.findall(nodes.image)]
        caption = [node for node in content if not any(node.findall(nodes.image))]
        if not paths or not caption:
            raise self.error("mechanism: a paragraph of images book/figures/NAME.svg, an empty line, then the caption")
        drawn = sorted(path.name for path in FIGURES.glob("*.svg"))
        for path in paths:
            if path.name not in drawn:
                raise self.error(f"mechanism: no picture {path.name} in book/figures; it has {', '.join(drawn)}")

        figure = nodes.figure(classes=["mechanism"])
        inside = "".join(inlined(path.name) for path in paths)
        figure += nodes.raw("", f'<div class="pictures">\n{inside}</div>\n', format="html")
        figure += nodes.caption("", "", *caption[0].children, *self.downloads(paths))
        figure["symbols"] = {}
        for path in paths:
            self.env.note_dependency(str(FIGURES / path.name))
            figure["symbols"] |= symbols_of(path.name)
        figure["symbols"] |= dict(pair.rsplit(":", 1) for pair in self.options.get("symbols", "").split())
        self.set_source_info(figure)
        self.options.setdefault("name", f"mechanism-{paths[0].stem}")
        self.add_name(figure)
        return [figure, *caption[1:]]

    def downloads(self, paths: list[Path]) -> list[nodes.Node]:
        links: list[nodes.Node] = [nodes.Text(" (SVG: ")]
        for path in paths:
            target = f"/book/figures/{path.name}"
            link = download_reference("", path.stem, reftarget=target, refdoc=self.env.docname, refexplicit=True)
            links += [link, nodes.Text(", " if path is not paths[-1] else ")")]
        return links


def inlined(name: str) -> str:
    """A picture without its stylesheet and its paper: the page has both."""
    text = (FIGURES / name).read_text(encoding="utf-8")
    text = re.sub(r'<style>.*?</style>\s*|<rect class="paper"[^>]*>\s*', "", text, flags=re.DOTALL)
    return re.sub(r'class="fig" width="\d+" height="\d+"', 'class="fig"', text, count=1)


def symbols_of(name: str) -> dict[str, str]:
    """The letters of a picture, as TeX without spaces, and their kinds: {"x": "map", "W_1": "weight"}."""
    pairs = re.search(r'data-symbols="([^"]*)"', (FIGURES / name).read_text(encoding="utf-8")).group(1).split()
    spelt = (pair.rsplit(":", 1) for pair in pairs)
    return {"".join(f"\\{GREEK[c]}" if c in GREEK else c for c in letter): kind for letter, kind in spelt}


# ---- their colours in equations ----

# Commands whose argument is no mathematics, or whose letters are names of sets: left as they are.
PLAIN = (
    "text textbf textit mathrm operatorname operatorname* begin end label tag ref eqref class color mathbb hspace"
).split()
TOKEN = re.compile(r"\\[a-zA-Z]+\*?|\\.|[a-zA-Z]|.", re.DOTALL)
INDEX = re.compile(r"_(\w|\{[\w, ]*\})")


def coloured(tex: str, symbols: dict[str, str]) -> str:
    """TeX in which every declared symbol, with its index, has the class of its kind.

    Braces around it keep `\\bar x` one accent over one letter; the index is coloured apart, so that `W_1^T` stays as it
    is set. A symbol that is declared with an index (`W_1`) is coloured with that index alone: `H \\times W` is a width.
    """
    out, position = [], 0
    while position < len(tex):
        token = TOKEN.match(tex, position).group()
        position += len(token)
        if token[0] == "\\" and token[1:] in PLAIN:
            end = past_group(tex, position)
            token, position = token + tex[position:end], end
        index = INDEX.match(tex, position)
        inner = index.group(1).strip("{}") if index else ""
        kind = symbols.get(f"{token}_{inner}") if inner else None
        kind = kind or symbols.get(token)
        if kind in (None, "-"):
            out.append(token)
            continue
        out.append(f"{{\\class{{q-{kind}}}{{{token}}}}}")
        if inner:
            out.append(f"_{{\\class{{q-{kind}}}{{{inner}}}}}")
            position = index.end()
    return "".join(out)


def past_group(tex: str, position: int) -> int:
    """The position behind the group `{...}` that starts here, or behind the next token."""
    start = re.compile(r"\s*").match(tex, position).end()
    if start == len(tex) or tex[start] != "{":
        return TOKEN.match(tex, start).end() if start < len(tex) else start
    depth = 0
    for end in range(start, len(tex)):
        depth += {"{": 1, "}": -1}.get(tex[end], 0) if tex[end - 1] != "\\" else 0
        if depth == 0:
            return end + 1
    return len(tex)


def page_symbols(docname: str, doctree: nodes.document) -> dict[str, str]:
    """The symbols of the pictures of the page's key, and of those on the page, with what its directives add."""
    key = docname.rpartition("/")[2].partition("_deeper")[0]
    found: dict[str, str] = {}
    if "/" in docname and docname.startswith("notebooks/"):
        for path in sorted(FIGURES.glob(f"{key}-*.svg")):
            found |= symbols_of(path.name)
    for figure in doctree.findall(lambda node: isinstance(node, nodes.figure) and "symbols" in node):
        found |= figure["symbols"]
    return found


def colour_equations(app: Sphinx, doctree: nodes.document) -> None:
    symbols = page_symbols(app.env.docname, doctree)
    if symbols:
        for node in list(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
            node.children = []
            node += nodes.Text(coloured(node.rawsource or node.astext(), symbols))


# ---- and in comments ----

COMMENT = re.compile(r'(<span class="c1">)(#[^<]*=[^<]*)(</span>)')


def colour_comments(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Symbols in comments that hold an equation, such as `# z_c = 1 / (H W) sum_ij x_c(i, j)`."""
    symbols = page_symbols(page, doctree) if doctree is not None else {}
    named = {symbol.replace("\\", ""): kind for symbol, kind in symbols.items() if kind != "-"}
    if named and "body" in context:
        words = re.compile(rf"\b({'|'.join(map(re.escape, sorted(named, key=len, reverse=True)))})(_[a-z]+)?\b")
        context["body"] = COMMENT.sub(
            lambda comment: (
                comment[1]
                + words.sub(lambda word: f'<span class="q-{named[word[1]]}">{word[0]}</span>', comment[2])
                + comment[3]
            ),
            context["body"],
        )


def setup(app: Sphinx) -> dict:
    app.add_directive("mechanism", Mechanism)
    app.connect("doctree-read", colour_equations)
    app.connect("html-page-context", colour_comments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
