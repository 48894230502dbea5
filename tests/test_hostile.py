"""Files that anybody may send: a hostile string in every field, to every page and command that shows the file."""

import copy
import importlib
import json
import re
import shlex
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from attnlib import papers, plots
from attnlib.cli import app
from attnlib.ledger import entries, schema
from attnlib.plots import equal_budget
from attnlib.results import archive, comparison, formats, report
from attnlib.results.speed import Measurements
from attnlib.training import Recipe, Record

SCRIPT = "<svg/onload=alert(1)>\"' onmouseover='alert(2)"
BLOCK = "\n\n```{raw} html\n<script>alert(3)</script>\n```\n\n"
TERMINAL = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\r\u202e\u061c\u2028"
HOSTILE = f"x{SCRIPT}{BLOCK}{TERMINAL}| [a](javascript:a) [red]r[/red] :smile: $\\x$ {{x}} \\ ../../../x"
CONTROLS = re.compile("[\u061c\u2028\u2029\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
ELEMENTS = {
    "a", "b", "br", "caption", "code", "col", "colgroup", "dd", "details", "div", "dl", "dt", "input", "label", "li",
    "option", "output", "p", "pre", "select", "small", "span", "style", "summary", "table", "tbody", "td", "th",
    "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {
    "aria-live", "class", "colspan", "data-disagreement", "data-filter", "data-kind", "data-paper", "data-verdict",
    "data-label", "hidden", "href", "id", "scope", "type", "value",
}  # fmt: skip


def leaves(data, path=()):
    """The paths of all strings in JSON, and of all keys of its objects."""
    if isinstance(data, str):
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            yield (*path, ("key", key))
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))


def spoilt(data, path):
    """A copy with the hostile string at one path."""
    data = inner = copy.deepcopy(data)
    for step in path[:-1]:
        inner = inner[step]
    last = path[-1]
    if isinstance(last, tuple):
        inner[HOSTILE] = inner.pop(last[1])
    else:
        inner[last] = HOSTILE
    return data


def all_spoilt(data, model):
    """A copy with the hostile string wherever the model lets it in alone; the model refuses all other places."""
    taken = []
    places = {
        tuple(step if isinstance(step, str) else "*" for step in path[:-1]) + path[-1:]: path for path in leaves(data)
    }
    for path in places.values():  # of many entries alike, one
        try:
            model.model_validate(spoilt(data, path))
        except ValidationError:
            continue
        taken.append(path)
    for path in sorted(taken, key=lambda path: (isinstance(path[-1], tuple), -len(path))):  # keys last, the inner first
        try:
            changed = spoilt(data, path)
            model.model_validate(changed)
        except (ValidationError, KeyError):  # not two of them at once
            continue
        data = changed
    assert HOSTILE in json.dumps(data) or json.dumps(HOSTILE)[1:-1] in json.dumps(data)
    return model.model_validate(data)


class Elements(HTMLParser):
    """Refuses what a browser would take for more than a table or a list."""

    def handle_starttag(self, tag, attributes):
        assert tag in ELEMENTS, self.get_starttag_text()
        for name, value in attributes:
            assert name in ATTRIBUTES, self.get_starttag_text()
            assert name != "href" or value.startswith(("#", "ledger/")), value

    def handle_decl(self, declaration):
        raise AssertionError(declaration)


def assert_harmless_html(html):
    parser = Elements()
    parser.feed(html)
    parser.close()
    assert not CONTROLS.search(html)


def assert_harmless_page(markdown):
    """As above, and no empty line inside an element, where Markdown would begin anew."""
    for block in re.findall(r"<(?:div|details).*?\n(?:</div>|</details>)", markdown, re.S):
        assert "```" not in "".join(re.findall(r"\n\s*\n.*", block)), block
    assert not re.search(r"^\s*```", markdown, re.M)
    assert_harmless_html(markdown)


def command(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not CONTROLS.search(result.output), result.output
    return result


@pytest.fixture(scope="module")
def runs():
    """Records of one recipe: those without attention, and those of a module with a hostile string in every field."""
    plain = archive.records("cifar10-slice", "none")[:2]
    assert len(plain) == 2
    others = []
    for record in archive.records("cifar10-slice", "se")[:2]:
        data = record.model_dump(mode="json")
        data["recipe"]["attention_args"] = {"squeeze": "max", "list": ["text"]}
        data["recipe"]["placement"] = ["layer3"]
        data["error"] = "text"
        others.append(all_spoilt(data, Record))
    return plain + others


@pytest.fixture
def folder(runs, tmp_path):
    for number, record in enumerate(runs):
        record.save(tmp_path / str(number) / "record.json")
    return tmp_path


def test_what_names_folders_is_no_free_text():
    base = Recipe.named("smoke")
    for field in ("name", "data", "backbone", "attention", "placement"):
        for value in (HOSTILE, "../../../x", "/x", "", "a/b", "a\n"):
            with pytest.raises(ValueError, match=f"field {field}|no dataset is called"):
                Recipe.named("smoke", **{field: value})
    with pytest.raises(ValueError, match="attention_args.*is no name of an argument"):
        Recipe.named("smoke", attention_args={HOSTILE: 1})
    spoilt_ = base.model_copy(update={"attention_args": {"a": HOSTILE}})
    assert ".." not in archive.location(spoilt_).parts


@pytest.mark.parametrize("options", [(), ("--recipe", "cifar10-slice"), ("--recipe", "cifar10-slice", "--json")])
def test_reports_of_hostile_records_are_harmless(options, folder):
    result = command("report", "--records", folder, *options)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("form", formats.FORMATS)
def test_tables_for_others_are_harmless(form, folder):
    shown = command("report", "--records", folder, "--recipe", "cifar10-slice", "--format", form).output
    if form == "markdown":
        assert len(shown.splitlines()) == 4
        assert not re.search(r"(?<!\\)[<\[`]", shown)
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in shown.splitlines()}) == 1


def test_figures_and_tables_of_hostile_records_are_harmless(runs):
    reported = report(runs)
    caption = HOSTILE
    shown = [plots.accuracy_table(runs, caption), plots.report_table(reported, caption)]
    shown += [equal_budget.standing_table([reported], caption, kind=None)]
    for table in shown:
        html = table.to_html()
        assert_harmless_html(html)
        assert "&lt;svg" in html
        assert not CONTROLS.search(repr(table))
        assert "<svg/onload" in repr(table)  # a terminal shows what was written
    drawn = [plots.accuracies(runs)]
    for axes in drawn:
        axes.figure.canvas.draw()
        plt.close(axes.figure)


@pytest.mark.parametrize("key", ["se", pytest.param("sasa", marks=pytest.mark.thorough)])
def test_a_hostile_paper_is_harmless(key, tmp_path, monkeypatch):
    import ledger_page  # of the book

    text = (schema._FOLDER / key / "paper.yml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    paper = all_spoilt(data, schema.Paper)
    on_file = json.loads((entries._FOLDER / key / "verdicts.json").read_bytes())
    on_file["verdicts"].sort(key=lambda verdict: not verdict.get("evidence"))
    on_file["verdicts"], on_file["cells"] = on_file["verdicts"][:3], on_file["cells"][:3]
    ledger = all_spoilt(on_file, entries.Ledger)
    monkeypatch.setattr(schema, "load", lambda _: paper)
    monkeypatch.setattr(schema, "keys", lambda: [key])
    monkeypatch.setattr(entries, "stored", lambda _: ledger)
    monkeypatch.setattr(papers.Paper, "code_of", lambda *_: HOSTILE)
    shown = papers.paper(key)
    for part in (ledger_page.counts, ledger_page.overview, ledger_page.every_claim):
        assert_harmless_page(part())
    head, tables = ledger_page.paper_page(shown).split("## Claims of the paper")
    assert not re.search(r"(?<!\\)<", head)
    assert_harmless_page(tables)
    assert_harmless_html(plots.verdicts(shown.verdicts(most=None))._repr_html_())
    assert_harmless_html(plots.differences(shown)._repr_html_())
    assert_harmless_html(plots.costs(shown.costs(), HOSTILE).to_html())
    for table in shown.tables.values():
        assert_harmless_html(plots.table(table, HOSTILE).to_html())
    for options in ((), ("--paper", key), ("--costs",), ("--json",), ("--costs", "--json")):
        command("ledger", *options)


def test_a_hostile_benchmark_and_stamp_are_harmless_on_their_pages(tmp_path, monkeypatch):
    import generated_pages  # of the book

    folder = Path(comparison.__file__).parent / "benchmarks"
    monkeypatch.setattr(generated_pages, "BENCHMARKS", tmp_path)
    for path in folder.glob("*-loop*.json"):
        data = json.loads(path.read_bytes())
        data["rows"] = data["rows"][:2]
        spoilt_ = all_spoilt({k: v for k, v in data.items() if k != "rows"} | {"rows": []}, Measurements)
        given = {**data, **spoilt_.model_dump(exclude={"rows"})}
        needed = {"settings": data["settings"], "machine": data["machine"], "versions": data["versions"]}
        for part, was in needed.items():  # the page looks some entries up by their names
            given[part] = {k: HOSTILE if isinstance(v, str) else v for k, v in was.items()}
        given["rows"] = [{k: HOSTILE if isinstance(v, str) else v for k, v in row.items()} for row in data["rows"]]
        (tmp_path / path.name).write_text(json.dumps(given))
    page = generated_pages.speed()
    assert "alert" in page
    assert not re.search(r"(?<!\\)[<`\[]", page.replace(": `python -m benchmarks.training --device cuda`", ""))
    assert not CONTROLS.search(page)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    stamp = {"lane": HOSTILE, "device": HOSTILE, "seconds": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    cells = [{"cell_type": "markdown", "source": "# Title"}]
    (notebooks / "a.ipynb").write_text(json.dumps({"cells": cells, "metadata": {"stamp": stamp}}))
    monkeypatch.setattr(generated_pages, "REPOSITORY", tmp_path)
    *_, row = generated_pages.status().splitlines()
    assert not re.search(r"(?<!\\)[<`]", row)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_hostile_recipes_are_refused_or_harmless(tmp_path, monkeypatch):
    from attnlib.training import recipe

    smoke = tomllib.loads((recipe._GENERAL / "smoke.toml").read_text())
    monkeypatch.setattr(recipe, "_GENERAL", tmp_path)
    toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in smoke.items())
    (tmp_path / "smoke.toml").write_text(toml)
    (tmp_path / "free.toml").write_text(
        toml + f"\nattention = 'se'\nattention_args = {{ squeeze = {json.dumps(HOSTILE)} }}"
    )
    for number, key in enumerate(key for key, value in smoke.items() if isinstance(value, str)):
        lines = toml.splitlines()
        index = next(i for i, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[index] = f"{key} = {json.dumps(HOSTILE)}"
        (tmp_path / f"broken{number}.toml").write_text("\n".join(lines))
    (tmp_path / "latin.toml").write_bytes('name = "é"'.encode("latin-1"))
    (tmp_path / "syntax.toml").write_text("name = [")
    listed = command("recipes")
    assert listed.exit_code == 1
    assert "│ smoke" in listed.stdout and "│ free" in listed.stdout
    for name in ("broken0", "latin", "syntax"):
        assert f"recipe {name}: " in listed.stderr
    assert "syntax.toml cannot be read" in listed.stderr
    assert command("recipes", "free").exit_code == 0
    assert "squeeze" in command("train", "--recipe", "free", "--out", tmp_path / "run").stderr


EXPERIMENT = {
    "seeds": [0],
    "tables": [
        {
            "recipe": "smoke",
            "changes": {"name": "tiny", "data": "shapes", "augmentation": "none", "train_images": 100},
            "backbones": ["resnet8"],
            "attentions": [
                "none",
                {"key": "se", "arguments": {"squeeze": "max"}, "placement": "layer3"},
                {"key": "eca", "placement": ["layer3"]},
            ],
        }
    ],
}


def toml(value):
    """A value as TOML has it, whose strings are JSON's and whose tables are not."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(key)} = {toml(each)}' for key, each in value.items())} }}"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


def test_hostile_experiments_are_refused_or_harmless(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "workflow"))
    plan, driver, table = (importlib.import_module(name) for name in ("plan", "driver", "table"))
    experiments, records, runs = (tmp_path / name for name in ("experiments", "records", "runs"))
    experiments.mkdir()
    good = Record.load(next(archive.FOLDER.glob("cifar10-slice/none/*.json")))
    accepted = 0
    shared = {"seeds": [0], "tables": [{"recipe": "smoke", "shared": HOSTILE}]}
    for data in (*(spoilt(EXPERIMENT, path) for path in leaves(EXPERIMENT)), shared):
        (experiments / "mine.toml").write_text("\n".join(f"{key} = {toml(each)}" for key, each in data.items()))
        arguments = ["mine", "--experiments", str(experiments), "--records", str(records), "--runs", str(runs)]
        ended = driver.main(["status", *arguments])
        assert not CONTROLS.search("".join(capsys.readouterr()))
        if ended:
            assert ended == 2
            continue
        accepted += 1
        planned = plan.named("mine", experiments)
        for run in planned:
            assert not {"..", ""} & set(run.path.split("/"))
            words = shlex.split(run.command("attnlib", "out", "cpu"))
            assert words[:2] == ["attnlib", "train"]
            assert words[-1] == "out"
        first = planned[-2]  # whose argument is hostile, where that is
        failed = {"recipe": first.recipe, "status": "failed", "final": None, "error": f"{HOSTILE} not finite"}
        good.model_copy(update={**failed, "protocol": first.recipe.protocol, "seed": first.recipe.seed}).save(
            runs / first.path / "record.json"
        )
        (runs / f"{planned[0].path}.log").parent.mkdir(parents=True, exist_ok=True)
        (runs / f"{planned[0].path}.log").write_text(f"error: {HOSTILE}")
        monkeypatch.setattr(sys, "argv", ["table.py", *arguments, "--out", str(tmp_path / "tables")])
        assert driver.main(["status", *arguments]) == 0
        table.main()
        assert not CONTROLS.search("".join(capsys.readouterr()))
        page = (tmp_path / "tables" / "mine.md").read_text()
        assert "alert" in page
        assert not re.search(r"(?<!\\)[<`\[]", page)
    assert accepted
    driver.main(["status", HOSTILE, "--experiments", str(experiments)])
    (experiments / "x\x1b[31m\u202e.toml").write_text(HOSTILE)
    assert driver.main(["status", "mine", "--experiments", str(experiments)]) in (0, 2)
    assert not CONTROLS.search("".join(capsys.readouterr()))


def test_what_a_submission_says_gives_the_teachers_terminal_no_orders(monkeypatch):
    from classroom import __main__ as classroom
    from classroom.judge import Judgement

    judgements = {"ada": Judgement(fingerprint="", not_gradable=f"{HOSTILE} [/bold]")}
    monkeypatch.setattr("classroom.grade.grade", lambda *_: judgements)
    shown = CliRunner().invoke(classroom.app, ["grade", "1"])
    assert shown.exit_code == 0, shown.exception
    assert not CONTROLS.search(shown.output)
    assert "[/bold]" in shown.output


@pytest.mark.parametrize("option", ["--recipe", "--data", "--backbone", "--attention", "--placement", "--set", "--arg"])
def test_hostile_arguments_give_the_terminal_no_orders(option, tmp_path):
    for value in (HOSTILE, f"attention_args={{'{TERMINAL}': 1}}", f"a={HOSTILE}"):
        attention = () if option == "--attention" else ("--attention", "se")
        assert command("train", "--recipe", "smoke", *attention, option, value, "--out", tmp_path).exit_code == 2


def test_hostile_names_of_modules_networks_and_papers(tmp_path):
    places = ("--records", tmp_path / HOSTILE.replace("/", ""))
    networks = (
        ("attach", HOSTILE, "se", "--dry-run"),
        ("attach", "resnet8", HOSTILE, "--dry-run"),
        ("profile", HOSTILE),
    )
    papers = (("ledger", "--paper", HOSTILE), ("ledger", "--id", HOSTILE))
    for arguments in (("info", HOSTILE), *networks, *papers, ("report", *places), ("data", "fetch", HOSTILE)):
        assert command(*arguments).exit_code == 2
