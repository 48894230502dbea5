"""The shape of attnlib/papers/<key>/paper.yml, and the loader that refuses a file that does not fit.

Every number says where it comes from (`source`) and how we know it (`confidence`):

* read: in the paper or in its official repository;
* second-hand: in somebody else's text about it, which `source` names;
* recalled: from memory, seen nowhere;
* counted: by running the released code, not printed by the authors.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from attnlib.errors import unknown

if TYPE_CHECKING:
    import pandas

_FOLDER = Path(__file__).parents[1] / "papers"
Confidence = Literal["read", "second-hand", "recalled", "counted"]
Kind = Literal["paper", "code"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Cell = str | bool | int | float | None


_BRACKETS = 5000  # ours have a few hundred


class PublishedDataError(ValueError):
    """A paper's file that does not fit the schema; the message names the file, the field and the reason."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CostColumn(_Data):
    """A column of costs: its numbers times `unit` are parameters or operations, counted by the rule `counting`.

    `decimals` is how many all its numbers are printed with (YAML drops trailing zeros); null where they differ. `added`
    columns print what the module adds to the network. `profiler` is a function of claims.py or of
    `ledger.profilers`, where the figures are such a tool's.

    The rules for operations:

    * multiply-adds: of convolutions, linear maps and matrix products; our MACs;
    * two-per-multiply-add: twice as many, a multiplication and an addition each;
    * layers: those, two more for each element of a batch norm, one for each element of a ReLU and one for each input
      element of a pooling layer. Some profilers that hook a network's layers count in this way.
    """

    quantity: Literal["parameters", "operations"]
    unit: float = Field(gt=0)
    counting: Literal["each", "multiply-adds", "two-per-multiply-add", "layers"]
    decimals: int | None = Field(default=None, ge=0)
    added: bool = False
    profiler: str | None = None

    @model_validator(mode="after")
    def _rule_fits(self) -> "CostColumn":
        if (self.quantity == "parameters") != (self.counting == "each"):
            raise ValueError(
                "parameters are counted 'each', operations as 'multiply-adds', 'two-per-multiply-add' or 'layers'"
            )
        return self


class Table(_Data):
    """A printed table. `columns` maps each column to what it holds, with its unit; a missing value is null.

    `networks` has a line for each row: what its costs belong to, see `ledger.grammar`.
    """

    id: Slug
    label: str
    about: str
    columns: dict[str, str]
    rows: list[list[Cell]] = Field(min_length=1)
    costs: dict[str, CostColumn] = {}
    networks: list[str] = []
    training: str = ""
    source: str
    confidence: Confidence
    note: str = ""

    @model_validator(mode="after")
    def _shape_fits(self) -> "Table":
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} values for {len(self.columns)} columns: {row}")
        if self.networks and len(self.networks) != len(self.rows):
            raise ValueError(f"networks: {len(self.networks)} lines for {len(self.rows)} rows")
        for column in self.costs:
            if column not in self.columns:
                raise ValueError(f"costs: there is no column {column!r}; columns: {', '.join(self.columns)}")
            for row in self.rows:
                cell = row[list(self.columns).index(column)]
                if isinstance(cell, (str, bool)):
                    raise ValueError(f"column {column!r} holds costs, which are numbers, got {cell!r} in row {row}")
        return self

    def frame(self) -> "pandas.DataFrame":
        """The table with its columns' names; `attrs` has label, about, source, confidence and note."""
        import pandas

        frame = pandas.DataFrame(self.rows, columns=list(self.columns)).infer_objects()
        frame.attrs = self.model_dump(include={"label", "about", "source", "confidence", "note"})
        return frame


class Experiment(_Data):
    """The runs that settle a claim of accuracy: those of a recipe of `attnlib.training`, with and without the module.

    Attributes:
        recipe: its name; null where none can be written yet, for the reason in `note`.
        protocol: "exact" where data, network and training are the paper's as far as they can differ in their effect;
            "proxy" where any of the three is another, or is assumed or recalled. A proxy settles nothing.
        changes: fields of `Recipe` that the runs with the module have otherwise, such as `attention_args`.
        without: the recipe of the runs held against them, where it is another: that of the network without attention,
            where the backbone of `recipe` brings the paper's attention itself.
        without_changes: fields of `Recipe` that those have otherwise; they are of the plain network unless these name
            an attention.
        plain: accuracy in percent that the paper prints for the network without the module.
        plain_tolerance: how many points less ours may have for the comparison to be the paper's.
        note: what sets these runs apart from those that the claim rests on.
    """

    recipe: str | None
    protocol: Literal["exact", "proxy"]
    changes: dict[str, Any] = {}
    without: str | None = None
    without_changes: dict[str, Any] = {}
    plain: float | None = Field(default=None, ge=0, le=100)
    plain_tolerance: float = Field(default=1.0, ge=0)
    note: str = ""

    @model_validator(mode="after")
    def _says_what_is_missing(self) -> "Experiment":
        if self.recipe is None and not self.note:
            raise ValueError("where there is no recipe yet, the note says what it waits for")
        return self


class Evidence(_Data):
    """What others found of a claim. It stands beside the verdict and never changes it; all of it was read.

    Attributes:
        text: one sentence: who found what.
        says: whether that supports, contradicts or qualifies the claim.
        numbers: the figures behind it, by what each of them is.
        source: where they can be read.
    """

    text: str
    says: Literal["supports", "contradicts", "qualifies"]
    numbers: dict[str, float] = Field(min_length=1)
    source: str

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {number:.6g}" for name, number in self.numbers.items())
        return f"Evidence that {self.says} it: {self.text} ({figures}; {self.source})"


class Claim(_Data):
    """One statement that can be checked.

    Attributes:
        kind: "paper" for what the paper claims, "code" where paper and released code are held against each other.
        text: the claim, in our words.
        value: the number it states, in `unit`; of a claim that runs settle, the gain in points of accuracy. Null where
            it states none and only a trained network can show it; runs then settle whether there is a gain.
        tolerance: how far the measured value may be from it, in the same unit.
        better: the side of `value` on which a measured one is better than what is printed, and so no failure.
        protocol: "proxy" for a check whose figures are of other people's runs, by another recipe than the claim's: they
            agree or disagree, and settle nothing.
        check: what measures it: a function of attnlib/papers/<key>/claims.py, or arithmetic on the printed tables (see
            `ledger.expressions`); null where only a trained network can show it.
        datasets: what such a network was trained on.
        settled_by: the runs that settle it, where we can make them.
        evidence: what others found of it.
    """

    id: Slug
    kind: Kind = "paper"
    text: str
    value: float | None = None
    unit: str = ""
    tolerance: float = Field(default=0.0, ge=0)
    better: Literal["higher", "lower"] | None = None
    protocol: Literal["proxy"] | None = None
    check: str | None = None
    datasets: list[str] = []
    settled_by: Experiment | None = None
    evidence: list[Evidence] = []
    source: str
    confidence: Confidence

    @model_validator(mode="after")
    def _can_be_judged(self) -> "Claim":
        if bool(self.datasets) != (self.check is None):
            raise ValueError("a claim has either a check, or the datasets of the runs that it rests on")
        if self.check is not None and self.value is None:
            raise ValueError("a claim with a check needs the value that the check is held against")
        if self.better is not None and self.value is None:
            raise ValueError("better names a side of value, which is missing")
        if self.protocol is not None and self.check is None:
            raise ValueError("protocol goes with a check; runs have theirs in settled_by")
        if self.settled_by is not None and self.check is not None:
            raise ValueError("settled_by names runs; a claim with a check needs none")
        return self


class Difference(_Data):
    """A point where the paper and its released code differ; `claim` is the one that shows it by computing."""

    id: Slug
    text: str
    claim: Slug | None = None
    confidence: Confidence


class Knowledge(_Data):
    """How the paper itself is known: read, known through others' texts about it, or not read; `sentence` says it."""

    how: Literal["read", "second-hand", "not read"]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Paper(_Data):
    """Everything that we know a paper to print."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z]+(_[a-z]+)*$")]
    name: str
    title: str
    authors: list[str] = Field(min_length=1)
    year: int
    venue: str
    arxiv: str | None = None
    doi: str | None = None
    doi_confidence: Confidence | None = None
    known: Knowledge
    code: str
    code_licence: str
    idea: str
    placement: str
    hyperparameters: dict[str, str]
    initialisation: str
    tables: list[Table]
    claims: list[Claim]
    differences: list[Difference]
    not_found: list[str] = []

    @model_validator(mode="after")
    def _names_fit(self) -> "Paper":
        for kind in ("tables", "claims", "differences"):
            for name, count in Counter(entry.id for entry in getattr(self, kind)).items():
                if count > 1:
                    raise ValueError(f"{kind}: the id {name!r} is used {count} times")
        claims = {claim.id for claim in self.claims}
        for difference in self.differences:
            if difference.claim is not None and difference.claim not in claims:
                raise ValueError(
                    f"difference {difference.id!r} points to a claim {difference.claim!r} that is not there"
                )
        return self

    def table(self, id: str) -> "pandas.DataFrame":
        """The rows of one printed table.

        Raises:
            UnknownNameError: no such table; the message lists the near matches.
        """
        return _find("table", self.tables, id).frame()

    def rows(self, id: str) -> list[dict[str, Cell]]:
        """The same rows as dictionaries by column, for code that computes with them; a missing value is None.

        Raises:
            UnknownNameError: no such table; the message lists the near matches.
        """
        printed = _find("table", self.tables, id)
        return [dict(zip(printed.columns, row, strict=True)) for row in printed.rows]

    def claim(self, id: str) -> Claim:
        """One claim by its id.

        Raises:
            UnknownNameError: no such claim; the message lists the near matches.
        """
        return _find("claim", self.claims, id)


def _find(kind: str, entries: list, id: str):
    known = {entry.id: entry for entry in entries}
    if id not in known:
        raise unknown(kind, id, list(known))
    return known[id]


def keys() -> list[str]:
    """Keys of the papers there are."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/paper.yml"))


def load(key: str) -> Paper:
    """What the paper `key` prints and claims.

    Raises:
        UnknownNameError: no such paper; the message lists the near matches.
        TypeError: `key` is not a string.
        PublishedDataError: its file does not fit the schema.
    """
    if not isinstance(key, str):
        raise TypeError(f"a paper is known by its key, a string such as 'se', got {key!r}")
    path = _FOLDER / key / "paper.yml"
    # The folder is not listed where the file is there: a chapter would depend on every paper that is added.
    if not re.fullmatch(r"[a-z_]+", key) or not path.is_file():
        raise unknown("paper", key, keys())
    return read(path)


@cache
def read(path: Path) -> Paper:
    """Read and check one file.

    Raises:
        PublishedDataError: not YAML, a field that does not fit, or a key that is not the folder's name.
    """
    import yaml

    name = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        if len(re.findall(r"[\[{]", text)) > _BRACKETS or re.search(rf"(?m)^[ ?:-]{{{_BRACKETS}}}", text):
            raise ValueError("it is nested more deeply than any paper needs")  # libyaml would crash
        data = yaml.load(text, _loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or a date that is none
        raise PublishedDataError(f"{name} is not YAML in UTF-8: {error}") from error
    try:
        paper = Paper.model_validate(data)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise PublishedDataError(f"{name} does not fit the schema:\n  " + "\n  ".join(reasons)) from error
    if paper.key != path.parent.name:
        raise PublishedDataError(f"{name}: key: is {paper.key!r}, but the folder is that of {path.parent.name!r}")
    return paper


@cache
def _loader() -> type:
    """YAML's safe loader, which lets the last of doubled keys win, made to refuse them."""
    import yaml

    class Loader(
        getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    ):  # libyaml is ten times as fast; not all systems have it
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            if doubled := [key for key, count in keys.items() if count > 1]:
                raise yaml.constructor.ConstructorError(
                    problem=f"doubled keys: {', '.join(doubled)}", problem_mark=node.start_mark
                )
            return super().construct_mapping(node, deep)

    return Loader
