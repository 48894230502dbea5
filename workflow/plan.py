"""Experiments, as workflow/experiments/*.toml say them, and the runs that they ask for.

An experiment has `seeds` and one or more `[[tables]]`, each of one recipe: every attention in it, with every backbone,
is trained once from each seed. `shared = "NAME"` adds the attentions of workflow/attentions/NAME.toml.
"""

import json
import re
import shlex
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from torch import nn

from attnlib import networks, registry
from attnlib.errors import unknown
from attnlib.networks.placement import places
from attnlib.plain import in_terminal
from attnlib.results.archive import location
from attnlib.training.recipe import Recipe, reasons

FOLDER = Path(__file__).parent
EXPERIMENTS = FOLDER / "experiments"
ATTENTIONS = FOLDER / "attentions"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Model = TypeVar("Model", bound=BaseModel)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attention(_Entry):
    """A module, its arguments where they are not the defaults, its place where it is not the paper's."""

    key: str
    arguments: dict[str, Any] = {}
    placement: str | tuple[str, ...] | None = None


class Resources(_Entry):
    """What one run takes: slots of a GPU (how many there are is said when Snakemake starts), megabytes, minutes."""

    gpu_slots: int = Field(default=1, ge=1)
    mem_mb: int = Field(default=4000, ge=1)
    runtime: int = Field(default=120, ge=1)


Attentions = tuple[Annotated[Attention, BeforeValidator(lambda x: {"key": x} if isinstance(x, str) else x)], ...]


class Shared(_Entry):
    """A list of attentions that several experiments use."""

    attentions: Attentions


class Table(_Entry):
    """The runs of one recipe.

    Attributes:
        recipe: a name of `Recipe.names()`.
        changes: fields of the recipe to replace, its `name` among them, under which the records are filed.
        backbones: default the recipe's own.
        shared: a file of workflow/attentions, without its ending.
        attentions: a key, or a key with arguments and placement.
        resources: of each run.
    """

    recipe: str
    changes: dict[str, Any] = {}
    backbones: tuple[str, ...] = ()
    shared: str | None = None
    attentions: Attentions = ()
    resources: Resources = Resources()

    @field_validator("changes")
    @classmethod
    def _has_a_name(cls, changes: dict[str, Any]) -> dict[str, Any]:
        if changes and "name" not in changes:
            raise ValueError("a changed recipe is another recipe: give it a `name` of its own")
        if taken := {"backbone", "attention", "attention_args", "placement", "seed"} & changes.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be changed here: tables have fields for them")
        return changes


class Experiment(_Entry):
    """A target of the workflow: some tables over the same seeds."""

    seeds: tuple[int, ...] = Field(min_length=1)
    tables: tuple[Table, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Run:
    """One run: what is trained, by which command, and where its record is filed."""

    recipe: Recipe
    base: str
    changes: dict[str, Any]
    resources: Resources

    @property
    def path(self) -> str:
        """`smoke/none/resnet8-seed0`, below the folder of runs and, with .json, below the folder of records."""
        return location(self.recipe).with_suffix("").as_posix()

    def command(self, attnlib: str | Path, out: str | Path, device: str) -> str:
        """The `attnlib train` of this run, as a line for the shell."""
        recipe = self.recipe
        words = [attnlib, "train", "--recipe", self.base, "--attention", recipe.attention]
        for key, value in recipe.attention_args.items():
            words += ["--arg", f"{key}={json.dumps(value)}"]
        places = recipe.placement or ()
        for place in [places] if isinstance(places, str) else places:
            words += ["--placement", place]
        for field, value in self.changes.items():
            words += ["--set", f"{field}={json.dumps(value)}"]
        words += ["--seed", recipe.seed, "--device", device, "--out", out]
        return shlex.join(map(str, words))


def comparison(run: Run) -> str:
    """The runs of one recipe and one backbone are compared with each other: what they are called together."""
    return f"{run.recipe.name}-{run.recipe.backbone}"


def load(folder: str | Path = EXPERIMENTS) -> dict[str, list[Run]]:
    """The runs of every experiment in a folder, by the experiment's name.

    Raises:
        ValueError: a file that is no experiment; a recipe, network, module or place that does not exist; or two runs
            that would be filed in one place. The message says which file and why.
    """
    experiments, broken = readable(folder)
    for error in broken.values():
        raise error
    return experiments


def named(name: str, folder: str | Path = EXPERIMENTS) -> list[Run]:
    """The runs of one experiment; others that are broken are told on standard error and stop nothing.

    Raises:
        UnknownNameError: no such experiment.
        ValueError: as `load`, of this one.
    """
    experiments, broken = readable(folder)
    if name in broken:
        raise broken[name]
    pass_over(broken)
    if name not in experiments:
        raise unknown("experiment", name, experiments.keys() | broken.keys())
    return experiments[name]


def pass_over(broken: dict[str, ValueError]) -> None:
    """Tell of experiments that cannot be read."""
    for error in broken.values():
        print(in_terminal(f"passed over: {error}"), file=sys.stderr)


def readable(folder: str | Path = EXPERIMENTS) -> tuple[dict[str, list[Run]], dict[str, ValueError]]:
    """The experiments of a folder, and why others are none; of two that clash the second by name is none.

    Raises:
        ValueError: a folder without experiments.
    """
    experiments: dict[str, list[Run]] = {}
    broken: dict[str, ValueError] = {}
    known: dict[str, tuple[str, Run]] = {}
    for file in sorted(Path(folder).glob("*.toml")):
        try:
            if not _NAME.fullmatch(file.stem):  # it becomes a word of the shell's and a rule of Snakemake's
                raise ValueError(f"{file}: a name has letters, digits, '.', '_' and '-', first a letter or digit")
            runs = _runs(file)
            for run in runs:
                other, first = known.get(run.path, (file.stem, run))
                if fields := first.recipe.differing_fields(run.recipe):
                    raise ValueError(
                        f"{file}: experiment {other} files {run.path} with another {', '.join(fields)}; give one of "
                        "the two recipes another name"
                    )
        except ValueError as error:
            broken[file.stem] = error
        else:
            experiments[file.stem] = runs
            known |= {run.path: (file.stem, run) for run in runs}
    if not experiments and not broken:
        raise ValueError(f"{folder} holds no experiments; they are files NAME.toml, as in {EXPERIMENTS}")
    return experiments, broken


def _runs(file: Path) -> list[Run]:
    experiment = _read(file, Experiment)
    try:
        runs = [
            _run(table, backbone, attention, seed)
            for table in experiment.tables
            for backbone in table.backbones or (None,)
            for attention in _attentions(table)
            for seed in experiment.seeds
        ]
        for run in runs:
            _check(run.recipe.backbone, run.recipe.attention, run.recipe.placement)
        if twice := [path for path, count in Counter(run.path for run in runs).items() if count > 1]:
            raise ValueError(f"asks for {twice[0]} twice; leave one of them out")
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return runs


def _attentions(table: Table) -> Attentions:
    if table.shared is None:
        return table.attentions
    known = [file.stem for file in ATTENTIONS.glob("*.toml")]
    if table.shared not in known:
        raise unknown("list of attentions", table.shared, known)
    return _read(ATTENTIONS / f"{table.shared}.toml", Shared).attentions + table.attentions


def _run(table: Table, backbone: str | None, attention: Attention, seed: int) -> Run:
    changes = table.changes | ({"backbone": backbone} if backbone else {})
    recipe = Recipe.named(
        table.recipe,
        attention=attention.key,
        attention_args=attention.arguments,
        placement=attention.placement,
        seed=seed,
        **changes,
    )
    return Run(recipe, table.recipe, changes, table.resources)


@cache
def _check(backbone: str, attention: str, placement: str | tuple[str, ...] | None) -> None:
    """Refuse what does not exist before anything is trained.

    Whether the module fits its place, the run itself finds out: every network with its attention would take long.
    """
    if backbone not in networks.list_networks():
        raise unknown("network", backbone, networks.list_networks())
    if attention == "none":
        if placement is not None:
            raise ValueError(f'"none" is the plain network and goes nowhere, got placement={placement!r}; leave it out')
    elif placement is not None:
        registry.info(attention)
        places(_plain(backbone), placement)
    elif registry.info(attention).rule is None:
        raise ValueError(f"{attention} has no place in an existing network; give it a placement")


@cache
def _plain(backbone: str) -> nn.Module:
    with torch.device("meta"):
        return networks.create(backbone)


def _read(file: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ValueError(f"{file}: {reasons(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file} is no TOML in UTF-8: {error}") from error
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
