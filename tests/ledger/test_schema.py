"""The papers' files, and every way in which a file may not fit."""

import copy

import pytest
import yaml

from attnlib.errors import UnknownNameError
from attnlib.ledger import schema
from attnlib.ledger.schema import PublishedDataError, read
from attnlib.ledger.verdict import sides

VALID = {
    "key": "toy",
    "name": "Toy",
    "title": "A toy",
    "authors": ["A. Author"],
    "year": 2020,
    "venue": "nowhere",
    "known": {"how": "read", "sentence": "The paper was read."},
    "code": "none",
    "code_licence": "none",
    "idea": "none",
    "placement": "none",
    "hyperparameters": {},
    "initialisation": "none",
    "tables": [
        {
            "id": "table-1",
            "label": "Table 1",
            "about": "toys",
            "columns": {"model": "network", "params_M": "10^6 parameters"},
            "rows": [["a", 1.5], ["b", None]],
            "costs": {"params_M": {"quantity": "parameters", "unit": 1e6, "counting": "each", "decimals": 1}},
            "source": "the paper",
            "confidence": "read",
        }
    ],
    "claims": [
        {
            "id": "small",
            "text": "It is small.",
            "value": 3,
            "check": "small",
            "source": "the paper",
            "confidence": "read",
        },
        {
            "id": "good",
            "text": "It is good.",
            "value": 1.0,
            "datasets": ["cifar10"],
            "settled_by": {"recipe": "toy-resnet20-cifar10", "protocol": "exact"},
            "source": "the paper",
            "confidence": "recalled",
        },
    ],
    "differences": [{"id": "size", "text": "It is larger.", "claim": "small", "confidence": "read"}],
}


def write(folder, data):
    path = folder / "toy" / "paper.yml"
    path.parent.mkdir()
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return path


def test_the_valid_file_is_valid(tmp_path):
    paper = read(write(tmp_path, VALID))
    assert paper.claim("good").settled_by.recipe == "toy-resnet20-cifar10"
    assert paper.rows("table-1") == [{"model": "a", "params_M": 1.5}, {"model": "b", "params_M": None}]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("year",), "soon", "year: Input should be a valid integer"),
        (("authors",), [], "authors: List should have at least 1 item"),
        (("surprise",), 1, "surprise: Extra inputs are not permitted"),
        (("key",), "game", "key: is 'game', but the folder is that of 'toy'"),
        (("tables", 0, "id"), "Table 1", "tables.0.id: String should match pattern"),
        (("tables", 0, "rows", 1), ["b"], "row 2 has 1 values for 2 columns"),
        (("tables", 0, "rows", 1), ["b", "two"], "'params_M' holds costs, which are numbers, got 'two'"),
        (("tables", 0, "rows"), [], "tables.0.rows: List should have at least 1 item"),
        (("tables", 0, "confidence"), "sure", "tables.0.confidence: Input should be 'read'"),
        (("tables", 0, "costs", "params"), VALID["tables"][0]["costs"]["params_M"], "there is no column 'params'"),
        (("tables", 0, "costs", "params_M", "counting"), "layers", "parameters are counted 'each'"),
        (("tables", 0, "costs", "params_M", "unit"), 0, "unit: Input should be greater than 0"),
        (("claims", 0, "kind"), "wish", "claims.0.kind: Input should be 'paper'"),
        (("claims", 0, "check"), None, "either a check, or the datasets"),
        (("claims", 0, "value"), None, "needs the value that the check is held against"),
        (("claims", 0, "tolerance"), -1, "claims.0.tolerance: Input should be greater than or equal to 0"),
        (("claims", 0, "tolerance"), float("inf"), "claims.0.tolerance: Input should be a finite number"),
        (("claims", 0, "value"), float("nan"), "claims.0.value: Input should be a finite number"),
        (("tables", 0, "rows", 0), ["b", float("inf")], "tables.0.rows.0.1"),
        (("claims", 0, "evidence"), [{"says": "agrees"}], "claims.0.evidence.0.says: Input should be 'supports'"),
        (("claims", 0, "evidence"), [{"numbers": {}}], "claims.0.evidence.0.numbers: Dictionary should have at least"),
        (("claims", 0, "settled_by"), {"recipe": "toy", "protocol": "exact"}, "a claim with a check needs none"),
        (("claims", 0, "better"), "more", "claims.0.better: Input should be 'higher' or 'lower'"),
        (("claims", 1, "protocol"), "proxy", "protocol goes with a check"),
        (("claims", 1, "settled_by", "protocol"), "near", "settled_by.protocol: Input should be 'exact' or 'proxy'"),
        (("claims", 1, "settled_by", "recipe"), None, "the note says what it waits for"),
        (("claims", 1, "settled_by"), {"protocol": "exact"}, "settled_by.recipe: Field required"),
        (("claims", 1, "id"), "small", "claims: the id 'small' is used 2 times"),
        (("differences", 0, "claim"), "large", "points to a claim 'large' that is not there"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, place, value, message):
    data = copy.deepcopy(VALID)
    parent = data
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    with pytest.raises(PublishedDataError, match="toy/paper.yml") as error:
        read(write(tmp_path, data))
    assert message in str(error.value)


def test_a_missing_field_is_named(tmp_path):
    data = {name: value for name, value in VALID.items() if name != "venue"}
    with pytest.raises(PublishedDataError, match="toy/paper.yml does not fit the schema:\n  venue: Field required"):
        read(write(tmp_path, data))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"key: toy\nname: \xe9", "toy/paper.yml is not YAML in UTF-8"),
        ("key: toy".encode("utf-16"), "toy/paper.yml is not YAML in UTF-8"),
        (b"key: toy\nkey: toy", "toy/paper.yml is not YAML in UTF-8: doubled keys: key"),
        (b"claims:\n- {id: a, id: b}", "doubled keys: id"),
        (b"key: " + b"[" * 200_000 + b"]" * 200_000, "nested more deeply"),  # which crashes libyaml
        (b"key:\n" + b"- " * 100_000 + b"a", "nested more deeply"),
        (b"year: 2020-13-45", "toy/paper.yml is not YAML in UTF-8: month must be"),
    ],
)
def test_a_file_in_which_something_is_lost_is_refused(tmp_path, text, message):
    path = write(tmp_path, "")
    path.write_bytes(text)
    with pytest.raises(PublishedDataError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("key: [", "toy/paper.yml is not YAML"), ("", "toy/paper.yml does not fit the schema:\n  file: ")],
)
def test_a_file_that_is_no_mapping(tmp_path, text, message):
    with pytest.raises(PublishedDataError, match=message):
        read(write(tmp_path, text))


def test_unknown_names_list_near_matches():
    with pytest.raises(UnknownNameError, match="no paper is called 'name'; did you mean 'nam'"):
        schema.load("name")
    with pytest.raises(UnknownNameError, match="did you mean 'table-10'"):
        schema.load("se").table("tabel-10")
    with pytest.raises(UnknownNameError, match="no claim is called"):
        schema.load("se").claim("parameter")


KEYS = schema.keys()
SETTLED = [
    pytest.param(key, claim.settled_by, claim.datasets, id=f"{key}-{claim.id}")
    for key in KEYS
    for claim in schema.load(key).claims
    if claim.settled_by and claim.settled_by.recipe
]


@pytest.mark.parametrize(("key", "runs", "datasets"), SETTLED)
def test_a_claim_is_settled_by_recipes_that_there_are(key, runs, datasets):
    for recipe in sides(key, runs).values():
        assert recipe.protocol == "paper"
        if runs.protocol == "exact":
            assert [recipe.data] == datasets


@pytest.mark.parametrize("key", KEYS)
def test_every_table_becomes_a_frame(key):
    for table in schema.load(key).tables:
        frame = schema.load(key).table(table.id)
        assert list(frame.columns) == list(table.columns)
        assert len(frame) == len(table.rows)
        assert frame.attrs["source"] == table.source
        for column in table.costs:
            assert frame[column].dtype.kind in "if", "a column of costs computes"


def test_a_missing_value_is_missing_in_the_frame():
    frame = schema.load("se").table("table-2")
    assert frame.orig_top5_err.isna().sum() == 2
    assert frame.orig_top5_err.dtype.kind == "f"


def test_what_is_not_read_in_the_paper_says_so():
    # The NAM paper could not be read, nor SA's Table 1: their numbers must never pass for printed ones.
    assert {t.confidence for t in schema.load("nam").tables} == {"second-hand", "counted"}
    by_id = {t.id: t.confidence for t in schema.load("sa").tables}
    assert by_id["table-1"] == "recalled"
    assert schema.load("sa").table("table-1").attrs["confidence"] == "recalled"
