"""Everything that decides what a training run computes, in one frozen object."""

import json
import re
import tomllib
from collections.abc import Container
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from attnlib.errors import unknown

_GENERAL = Path(__file__).parent / "recipes"
_PAPERS = Path(__file__).parents[1] / "papers"


def _as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """As a record gives them back, tuples as lists, so that a recipe equals the one that is read from its record."""
    if odd := [name for name in arguments if not name.isidentifier()]:
        raise ValueError(f"{odd[0]!r} is no name of an argument")
    try:
        return json.loads(json.dumps(arguments, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"arguments have to be what JSON can hold: {error}") from None


def _finds_paths(pattern: str) -> str:
    if not re.fullmatch(r"[\w.*?!\[\]-]+", pattern):
        raise ValueError("a rule, or a path or pattern of letters, digits, '.', '_', '-', '*', '?' and '[...]'")
    return pattern


def _names_a_folder(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("records are filed under it: take letters, digits, '.', '_' and '-', first a letter or digit")
    return name


def _names_a_network(name: str) -> str:
    library, colon, rest = name.partition(":")
    for part in (library, rest) if colon else (name,):
        _names_a_folder(part)
    return name


def _names_data(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError("take the name of a data set, or the path of a folder in signs that can be printed")
    return name


_Name = Annotated[str, AfterValidator(_names_a_folder)]
_Data = Annotated[str, AfterValidator(_names_data)]
_Network = Annotated[str, AfterValidator(_names_a_network)]
_Path = Annotated[str, AfterValidator(_finds_paths)]


class Recipe(BaseModel):
    """What to train, on what, and how.

    Two runs of one recipe start from the same weights and see the same batches, on every device. On the CPU of one
    machine, with one torch and one number of threads, they give the same numbers to the last bit. On a GPU they do not:
    some of its sums run in no fixed order, unless `train` is told `deterministic`, which refuses the operations that
    have no repeatable form.

    Attributes:
        name: what the recipe is called, in letters, digits, ".", "_" and "-"; records are filed under it.
        data: a data set of `attnlib.data.datasets()`, or a folder of images by class, see `attnlib.data.load`.
        backbone: a network of `attnlib.networks.list_networks()`, `torchvision:NAME`, `timm:NAME`, or
            `my_models:function` of one's own, which is called with the number of classes.
        attention: a key of `attnlib.list_modules()`, or "none" for the plain network.
        attention_args: arguments of the attention module.
        placement: where the attention goes, a rule's name, a pattern of paths or a list of paths, see
            `attnlib.networks.attach`; default the paper's place.
        protocol: "clean" holds a tenth of the training images back for every choice and reads the test set once, at
            the end; "paper" trains on all of them and reads the test accuracy after every epoch, as these papers do.
        epochs: passes over the training images.
        batch_size: images per step.
        batch_parts: equal parts that a batch is cut into. Each goes through the network by itself, so that a batch norm
            sees one part; the running statistics follow the first, as they do when PyTorch's DataParallel spreads a
            batch over so many GPUs. The gradients are those of the whole batch's mean loss.
        learning_rate: its highest value.
        momentum: of SGD.
        nesterov: look ahead along the momentum.
        weight_decay: L2 penalty in the gradients.
        decay_norms: whether the penalty also acts on parameters with one axis: scales, shifts and biases.
        schedule: "cosine" falls to zero at the end, "steps" multiplies by `step_factor` at each of `milestones`.
        milestones: increasing numbers of epochs, each from 1 to `epochs` - 1, after which the rate falls.
        step_factor: what the rate is multiplied by at a milestone.
        warmup_epochs: the rate grows linearly from zero over this many epochs.
        augmentation: "crop-flip" pads by four pixels, crops at random and mirrors half the images; "none" does nothing.
        cutout: side of the square, in pixels, around a random point of each image that is set to the mean colour, as in
            Cutout's released code; 0 for none.
        label_noise: probability with which a training label is replaced by another class, all others alike: 1 - r of
            Residual Attention's eq. 7. The labels of validation and test images stay as they are.
        precision: of the forward pass, in Lightning Fabric's words.
        seed: of the initial weights, the order of the images and the augmentation, each drawn from its own generator.
        image_size: side to which the images of a folder are resized; default what the network was made for.
        train_images: use only so many of the training images, the same for every seed and balanced over the classes.
        sparsity: strength p of NAM's penalty on its scales, 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name
    data: _Data
    backbone: _Network
    attention: _Name = "none"
    attention_args: Annotated[dict[str, Any], AfterValidator(_as_json)] = {}
    placement: _Path | tuple[_Path, ...] | None = None
    protocol: Literal["clean", "paper"] = "clean"
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    batch_parts: int = Field(default=1, ge=1)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False)
    decay_norms: bool = True
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[int, ...] = ()
    step_factor: float = Field(default=0.1, gt=0, lt=1)
    warmup_epochs: float = Field(default=0, ge=0)
    augmentation: Literal["none", "crop-flip"] = "crop-flip"
    cutout: int = Field(default=0, ge=0)
    label_noise: float = Field(default=0.0, ge=0, le=1)
    precision: Literal["64-true", "32-true", "bf16-mixed"] = "32-true"
    seed: int = Field(default=0, ge=0, lt=2**32)
    image_size: int | None = Field(default=None, ge=8)
    train_images: int | None = Field(default=None, ge=20)
    sparsity: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.batch_size % self.batch_parts:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be cut into batch_parts={self.batch_parts} equal parts"
            )
        return self

    @model_validator(mode="after")
    def _momentum_fits(self) -> "Recipe":
        if self.nesterov and not self.momentum:
            raise ValueError(
                "momentum=0 does not go with nesterov=true, which looks ahead along it; set nesterov=false"
            )
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> "Recipe":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} must be less than epochs={self.epochs}")
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError(
                f"schedule={self.schedule!r} does not go with milestones={self.milestones}: steps need them"
            )
        if not all(a < b for a, b in pairwise((0, *self.milestones, self.epochs))):
            raise ValueError(
                f"milestones={self.milestones} must increase and lie between 1 and {self.epochs - 1}, "
                f"as epochs={self.epochs}"
            )
        return self

    @classmethod
    def names(cls, paper: str | None = None) -> list[str]:
        """Names of the recipes that come with the package, or of those of one paper, by its key."""
        found = _GENERAL.glob("*.toml") if paper is None else ()
        return sorted(path.stem for path in (*found, *_PAPERS.glob(f"{paper or '*'}/recipes/*.toml")))

    @classmethod
    def named(cls, name: str, /, **overrides: Any) -> "Recipe":
        """A recipe that comes with the package, with some of its fields replaced.

        Raises:
            UnknownNameError: no such recipe or field, or a replaced field names data, a network or a module that is not
                there; the message lists the near matches.
            ValueError: a field whose value does not fit; the message names field and value.
        """
        # No folder is listed where the file is there: a chapter would depend on every recipe that is added.
        path = _file(name)
        if path is None:
            raise unknown("recipe", name, cls.names())
        for field in overrides:
            if field not in cls.model_fields:
                raise unknown("field of a recipe", field, list(cls.model_fields))
        try:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:  # what TOML or UTF-8 does not allow
            raise ValueError(f"recipe {name}: {path} cannot be read: {error}") from error
        try:
            made = cls(**{"name": name, **fields, **overrides})
        except ValidationError as error:
            raise ValueError(f"recipe {name}: {reasons(error)}") from error
        _check_names(made, overrides)
        return made

    def differing_fields(self, other: "Recipe") -> list[str]:
        """Names of the fields in which two recipes differ, in the order above."""
        return [field for field in type(self).model_fields if getattr(self, field) != getattr(other, field)]

    @property
    def label(self) -> str:
        """The attention with all that sets it apart from its default, e.g. `constant(value=0.0)`."""
        details = dict(self.attention_args)
        if self.placement is not None:
            details["placement"] = self.placement if isinstance(self.placement, str) else " ".join(self.placement)
        if self.sparsity:
            details["sparsity"] = self.sparsity
        inside = ", ".join(f"{key}={value}" for key, value in sorted(details.items()))
        return f"{self.attention}({inside})" if inside else self.attention


def _file(name: str) -> Path | None:
    """Where a recipe stands: a paper's, `<key>-<network>-<data>`, with its paper; None where there is none."""
    if not re.fullmatch(r"[\w.-]+", name):
        return None
    places = (_GENERAL, _PAPERS / name.partition("-")[0] / "recipes")
    return next((path for folder in places if (path := folder / f"{name}.toml").is_file()), None)


def _check_names(recipe: Recipe, given: Container[str]) -> None:
    """Refuse names that nothing has; imported are the tables of those that were given alone."""
    if "data" in given:
        from attnlib.data.images import check_name

        check_name(recipe.data)
    if "backbone" in given and ":" not in recipe.backbone:
        from attnlib.networks.zoo import list_networks

        if recipe.backbone not in (known := list_networks("classifier")):
            raise unknown("network that classifies images", recipe.backbone, known)
    if "attention" in given and recipe.attention != "none":
        from attnlib.registry import info

        info(recipe.attention)


def reasons(error: ValidationError) -> str:
    """pydantic's complaints on one line: field, reason, offending value."""
    lines = []
    for item in error.errors(include_url=False):
        field = ".".join(map(str, item["loc"]))
        value = f", got {item['input']!r}" if field and item["type"] != "missing" else ""
        reason = item["msg"].removeprefix("Value error, ")  # pydantic's own, before what a validator says
        lines.append(f"field {field}: {reason}{value}" if field else reason)
    return "; ".join(lines)
