"""The reference of the package: a page a room of attnlib, from its source; nothing is imported.

Each class and function is an object of Sphinx's Python domain: other pages and other projects can link to it
(objects.inv), types in signatures lead to their own entries, and `[source]` to the file. sphinx-autoapi writes
reStructuredText, where the docstrings here are Markdown; sphinx-autodoc2, which reads Markdown, has had no release
since 2023.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

PACKAGE = Path(__file__).resolve().parent.parent.parent / "attnlib"
TOP = "attnlib"  # the page of what is in no room
# The command is told by `attnlib --help`; what judges a paper's claims is linked from the ledger.
LEFT_OUT = ("cli/*", "papers/*/*")


def rooms() -> dict[str, str]:
    """The page of each room by its name, as Markdown."""
    pages: dict[str, list[str]] = {}
    for path in modules():
        room = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else TOP
        of_room = path.name == "__init__.py" and len(path.relative_to(PACKAGE).parts) < 3  # the heading says it
        text = module(name_of(path), ast.parse(path.read_text(encoding="utf-8")), with_text=not of_room)
        if text:
            pages.setdefault(room, []).append(text)
    return {room: "\n\n".join([heading(room), *parts]) + "\n" for room, parts in pages.items()}


def overview() -> str:
    """The rows of a table: each room with the first paragraph that it says of itself."""
    first = {room: " ".join(plain(said(room).partition("\n\n")[0]).split()) for room in rooms()}
    return "\n".join(f"| [`{title(room)}`](/book/api/{room}.md) | {text} |" for room, text in first.items())


def title(room: str) -> str:
    return room if room == TOP else f"attnlib.{room}"


def said(room: str) -> str:
    """What the package says of itself."""
    path = PACKAGE / "__init__.py" if room == TOP else PACKAGE / room / "__init__.py"
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def modules() -> list[Path]:
    """The files whose names are public, a package before what is in it."""
    files = sorted(PACKAGE.rglob("*.py"), key=lambda path: path.with_name(path.name.replace("__init__", "")))
    left_out = {path for pattern in LEFT_OUT for path in PACKAGE.glob(pattern)}
    return [path for path in files if path not in left_out]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def heading(room: str) -> str:
    letters = "The letters in the shapes are those of the [notation page](/book/notation.md)."
    return f"# `{title(room)}`\n\n{markdown(said(room))}\n\n{letters}"


def module(name: str, tree: ast.Module, with_text: bool = True) -> str:
    """What a module says of itself, the names it gives, and its definitions in the order of the source."""
    definitions, given = [*public(tree)], given_names(tree)
    if not definitions and not given:
        return ""
    parts = [f"## `{name}`", directive("module", name)]
    if with_text:
        parts.append(markdown(ast.get_docstring(tree)))
    if given:
        parts.append("\n".join(f"- {{py:obj}}`{name}.{each} <{where}.{each}>`" for each, where in given.items()))
    return "\n\n".join([*parts, *(entry(node) for node in definitions)])


def given_names(tree: ast.Module) -> dict[str, str]:
    """The names that a package gives, with the module that defines each: its imports under `if TYPE_CHECKING`."""
    blocks = (node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = (node for body in blocks for node in body if isinstance(node, ast.ImportFrom))
    given = {alias.name: node.module for node in imports for alias in node.names}
    public_names = next(
        (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and is_all(node)), []
    )
    return {name: defined_in(given[name], name) for name in sorted(given) if name in public_names}


def is_all(node: ast.Assign) -> bool:
    return isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"


def defined_in(name: str, definition: str) -> str:
    """The module that defines what a package gives by another's name."""
    path = PACKAGE.parent / Path(*name.split(".")) / "__init__.py"
    passed_on = given_names(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else {}
    return passed_on.get(definition, name)


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Definitions whose name has no leading underscore and that say what they do."""
    for node in tree.body:
        named = isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        if named and ast.get_docstring(node):
            yield node


def entry(node: ast.ClassDef | ast.FunctionDef) -> str:
    """One class with its public methods, or one function."""
    text = markdown(ast.get_docstring(node))
    if isinstance(node, ast.FunctionDef):
        return directive("function", signature(node), text)
    methods = [
        directive(kind(each), signature(each, bound=True), markdown(ast.get_docstring(each)), 5)
        for each in public(node)
    ]
    return directive("class", signature(node), "\n\n".join([text, *methods]), 6)


def kind(method: ast.FunctionDef) -> str:
    decorators = {ast.unparse(each) for each in method.decorator_list}
    return next((name for name in ("property", "classmethod", "staticmethod") if name in decorators), "method")


def signature(node: ast.ClassDef | ast.FunctionDef, bound: bool = False) -> str:
    """Name, arguments and result, on one line; of a class, how it is made; of a property, what it is."""
    if isinstance(node, ast.ClassDef):
        made = next((each for each in node.body if getattr(each, "name", "") == "__init__"), None)
        return f"{node.name}({', '.join([*split_arguments(made.args)][1:])})" if made else node.name
    given = [*split_arguments(node.args)]
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if "property" in decorators:
        return node.name
    if bound and "staticmethod" not in decorators:
        given = given[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({', '.join(given)}){returns}"


def split_arguments(arguments: ast.arguments) -> Iterator[str]:
    """Each argument of a signature as text."""
    positional = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True), 1):
        yield with_default(argument, default)
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield "*" + ast.unparse(arguments.vararg)
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield with_default(argument, default)
    if arguments.kwarg:
        yield "**" + ast.unparse(arguments.kwarg)


def with_default(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}" if argument.annotation else f"{text}={ast.unparse(default)}"


def source(app: Sphinx, name: str) -> tuple[str, dict] | None:
    """For sphinx.ext.viewcode: the text of a module and where each definition stands, without importing it."""
    path = PACKAGE.parent / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    return text, ModuleAnalyzer.for_string(text, name).find_tags()


# ---- docstrings ----


def markdown(docstring: str | None) -> str:
    """A docstring in the Google style as Markdown: its sections become lists, its examples code."""
    blocks = []
    for block in re.split(r"\n\s*\n", docstring or ""):
        heading, _, rest = block.partition("\n")
        if heading in ("Args:", "Raises:", "Returns:", "Yields:", "Warns:", "Attributes:"):
            blocks.append(f"**{heading.replace('Args', 'Arguments')}**")
            blocks.append(section(dedent(rest)))
        elif block.lstrip().startswith(">>>"):
            blocks.append(fence("pycon", block))
        elif block.startswith("    "):
            blocks.append(fence("text", dedent(block)))
        else:
            blocks.append(plain(block))
    return "\n\n".join(blocks)


def section(text: str) -> str:
    """The entries `name: what it is` of a section as a list; other text as it is."""
    entries = re.split(r"\n(?=\S)", text)
    if not all(re.match(r"[\w*., ]+(\(.*?\))?:\s", each) for each in entries):
        return plain(text)
    named = (each.partition(":") for each in entries)
    return "\n".join(f"- `{name}`: {plain(' '.join(rest.split()))}" for name, _, rest in named)


def plain(text: str) -> str:
    """Text in which nothing outside backticks is taken for HTML, mathematics or emphasis; bullets stay bullets."""
    special = re.compile(r"(?m)(?!^\* )([<$*_\[{])")
    parts = re.split(r"(`+[^`]*`+)", text)
    return "".join(part if part.startswith("`") else special.sub(r"\\\1", part) for part in parts)


def fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def directive(name: str, argument: str, content: str = "", ticks: int = 4) -> str:
    """A directive of the Python domain in MyST; more ticks hold one with fewer."""
    return f"{'`' * ticks}{{py:{name}}} {argument}\n{content}\n{'`' * ticks}"
