"""What chapters, pages and commands ask of a paper."""

import pytest

import attnlib
from attnlib.errors import UnknownNameError
from attnlib.papers import by_unkindness, list_papers
from attnlib.papers.face import source

SE = attnlib.paper("se")
KEYS = list_papers()


def test_a_paper_says_what_it_is():
    assert (SE.title, SE.year, SE.arxiv) == ("Squeeze-and-Excitation Networks", 2018, "1709.01507")
    assert SE.citation.startswith("Hu, Shen, Albanie, Sun and Wu: Squeeze-and-Excitation Networks. CVPR 2018")
    assert SE.citation.endswith("(arXiv 1709.01507)") and SE.citation in repr(SE)


@pytest.mark.parametrize("key", KEYS)
def test_how_a_paper_is_known_agrees_with_how_its_figures_are(key):
    paper = attnlib.paper(key)
    begins = {
        "read": "The paper was read",
        "second-hand": "The paper is known second-hand",
        "not read": "The paper's body was not read",
    }
    assert str(paper.known).startswith(begins[paper.known.how]) and paper.known.sentence.endswith(".")
    if any("memory of the paper" in table.attrs["source"] for table in paper.tables.values()):
        assert paper.known.how != "read" or "recalled" in paper.known.sentence


def test_an_unknown_paper_lists_near_matches():
    with pytest.raises(UnknownNameError, match="no paper is called 'name'; did you mean 'nam'"):
        attnlib.paper("name")
    with pytest.raises(UnknownNameError):
        attnlib.paper("../papers/se")  # a name, not a path


@pytest.mark.usefixtures("own_errors")
def test_a_key_is_a_string():
    with pytest.raises(TypeError, match="a string such as 'se', got 3"):
        attnlib.paper(3)


def test_tables_are_frames_with_their_source():
    assert list(SE.tables)[0] == "table-2"
    assert SE.table("table-2").equals(SE.tables["table-2"])
    assert SE.table("table-2").attrs["confidence"] == "read"
    with pytest.raises(UnknownNameError, match="did you mean 'table-10'"):
        SE.table("tabel-10")


def test_costs_are_chosen_by_label_in_the_order_asked_for():
    everything = SE.costs()
    assert {"table", "row", "column", "published", "measured", "difference", "agrees", "reason"} <= set(everything)
    assert len(everything) == len(SE.cells) > 50
    chosen = SE.costs(["Table 3", "Table 2: ResNet-50", "Table 3"])
    assert list(dict.fromkeys(chosen["table"])) == ["Table 3", "Table 2"]
    assert set(chosen["row"][chosen["table"] == "Table 2"]) == {"ResNet-50"}
    assert not chosen.duplicated().any()
    assert set(SE.costs("ResNet-50")["row"]) == {"ResNet-50"}
    assert list(SE.costs([])) == list(everything)
    with pytest.raises(UnknownNameError, match="no row of costs of se is called 'ResNet-5'; did you mean"):
        SE.costs(["ResNet-5"])


def test_costs_are_chosen_by_a_function_of_a_cell():
    chosen = SE.costs(lambda cell: cell.table == "Table 2" and cell.measured is None)
    assert set(chosen["table"]) == {"Table 2"}
    assert chosen["measured"].isna().all() and (chosen["reason"] != "").all()


def test_verdicts_come_unkind_first():
    everything = SE.verdicts(most=None)
    assert SE.verdicts() == everything[:8]
    words = [verdict.verdict for verdict in everything]
    assert words[0] == "does not hold" and words[-1] == "not testable here"
    assert list(dict.fromkeys(words)) == by_unkindness(words)


def test_a_new_word_stands_before_what_is_settled():
    words = ("holds", "not testable here", "new", "awaits a record", "does not hold", "holds with a note", "open")
    settled = ["awaits a record", "holds", "not testable here"]
    assert by_unkindness(words) == ["does not hold", "open", "holds with a note", "new", *settled]


def test_verdicts_are_chosen_by_their_ids_in_the_order_asked_for():
    first, second = (verdict.id for verdict in SE.verdicts(most=2))
    chosen = SE.verdicts([second, first.removeprefix("se-")])
    assert [verdict.id for verdict in chosen] == [second, first]
    assert SE.verdicts(first) == chosen[1:]
    ids = [verdict.id for verdict in SE.verdicts(most=None)]
    assert len(SE.verdicts(ids, most=8)) == len(ids) > 8, "what was asked for by name is not cut off"
    with pytest.raises(UnknownNameError, match="no claim of se is called"):
        SE.verdicts(["parameter"])


def test_the_code_of_a_verdict_is_shown_where_code_decided():
    verdicts = SE.verdicts(most=None)
    for verdict in verdicts:
        code = SE.code_of(verdict.id)
        assert (code is None) == (verdict.check is None)
        assert code is None or code == verdict.check or f"def {verdict.check}(" in code


def test_a_check_stands_with_the_functions_that_it_calls(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("def a():\n    return _b() + len([])\ndef _b():\n    return _c()\ndef _c(): pass\ndef d(): pass")
    lines = source(path, "a").splitlines()
    assert [line for line in lines if line.startswith("def")] == ["def a():", "def _b():", "def _c(): pass"]


def test_recipes_are_the_paper_s_own():
    assert "nam-resnet50-cifar100" in attnlib.paper("nam").recipes
    assert all(name.startswith("se-") and recipe.name == name for name, recipe in SE.recipes.items())  # not SEM's
    assert len(SE.recipes) >= 6
    assert attnlib.paper("dot_product").recipes == {}


def test_what_is_computed_anew_is_filed_and_shown(monkeypatch):
    from attnlib.ledger import entries

    paper = attnlib.paper("nam")
    assert len(paper.verdicts(most=None)) > 1
    fewer = entries.Ledger(paper="nam", verdicts=paper.verdicts(most=1), cells=[])
    filed = []
    monkeypatch.setattr(entries, "compute", lambda key: fewer)
    monkeypatch.setattr(entries, "store", filed.append)
    paper.recompute()
    assert filed == [fewer]
    assert (paper.verdicts(most=None), paper.cells) == (fewer.verdicts, [])
