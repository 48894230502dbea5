"""The reference of the package, read from its source."""

import ast

import api_pages
import pytest

import attnlib


@pytest.mark.parametrize(
    ("definition", "shown"),
    [
        (
            'def gate(x: Float[Tensor, "N C"], *, size=None) -> Tensor: pass',
            "gate(x: Float[Tensor, 'N C'], *, size=None) -> Tensor",
        ),
        ("def f(a, /, b: int = 1, *c, d, **e): pass", "f(a, /, b: int = 1, *c, d, **e)"),
        ("class Gate(Module):\n    def __init__(self, channels: int): pass", "Gate(channels: int)"),
        ("class Gate(Module): pass", "Gate"),
    ],
)
def test_a_signature_stands_as_in_the_source(definition, shown):
    assert api_pages.signature(ast.parse(definition).body[0]) == shown


def test_a_method_is_shown_as_it_is_called():
    made = ast.parse(
        "class A:\n    @property\n    def side(self) -> int: pass\n    @staticmethod\n    def of(x): pass\n"
        "    def gate(self, x): pass"
    ).body[0]
    assert [api_pages.kind(node) for node in made.body] == ["property", "staticmethod", "method"]
    assert [api_pages.signature(node, bound=True) for node in made.body] == ["side", "of(x)", "gate(x)"]


def test_a_docstring_becomes_markdown():
    text = "Scale x by 2 * y.\n\n* one\n* `two_three`\n\nArgs:\n    x: a map\n        of [0, 1].\n\n>>> 1 + 1\n2"
    assert api_pages.markdown(text) == (
        "Scale x by 2 \\* y.\n\n* one\n* `two_three`\n\n**Arguments:**\n\n- `x`: a map of \\[0, 1].\n\n"
        "```pycon\n>>> 1 + 1\n2\n```"
    )


def test_only_documented_public_names_are_shown():
    tree = ast.parse('def a():\n    "x"\ndef b(): pass\ndef _c():\n    "x"\n')
    assert [node.name for node in api_pages.public(tree)] == ["a"]


def test_a_name_that_a_package_gives_leads_to_its_definition():
    pages = api_pages.rooms()
    given = api_pages.given_names(ast.parse((api_pages.PACKAGE / "__init__.py").read_text(encoding="utf-8")))
    assert set(given) == set(attnlib.__all__)
    for name, module in given.items():
        room = module.split(".")[1] if module.count(".") > 1 else api_pages.TOP
        page = pages[room]
        assert f"{{py:module}} {module}\n" in page
        assert f" {name}" in page.partition(f"{{py:module}} {module}\n")[2]


def test_the_source_of_a_name_is_found_without_importing_it():
    text, places = api_pages.source(None, "attnlib.scale_attention.se")
    kind, first, _ = places["SE"]
    assert kind == "class"
    assert text.splitlines()[first - 1].startswith("class SE")
    assert api_pages.source(None, "torch.nn") is None
