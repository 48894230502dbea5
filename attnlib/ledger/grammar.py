"""What a row of a printed table belongs to, as one line of paper.yml beside it (`networks` of a table).

    resnet50_v1 + se(reduction=8, bias=False) @ block-end    a network: backbone, module, placement
    resnet50_cifar[100] + bam | stride_first                 100 classes; changed by a function of claims.py or variants
    mask_rcnn("SENet-50")                                    what that function of claims.py gives
    (SRM is not among the modules of attnlib)                nothing, for this reason

Module and placement may be left out: the network without attention, and the paper's place.
"""

import ast
import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from attnlib.errors import unknown
from attnlib.ledger import profilers, variants
from attnlib.ledger.measure import Call, Module, Network
from attnlib.networks.zoo import list_networks
from attnlib.registry import info

_NETWORK = re.compile(
    r"(?P<backbone>[\w:]+)(\[(?P<classes>\d+)\])?"
    r"( \+ (?P<module>\w+)(\((?P<arguments>[^()]*(\([^()]*\)[^()]*)*)\))?)?"
    r"( @ (?P<placement>\S+))?"
    r"( \| (?P<change>\w+)(\((?P<settings>[^()]*)\))?)?"
)
_FORM = "BACKBONE[CLASSES] + MODULE(ARGUMENTS) @ PLACEMENT | CHANGE, all but the backbone optional"


def measurable(line: str, key: str) -> Any:
    """What a line of the paper `key` stands for, one of `costs.Measurable`; a string is the reason for nothing.

    Raises:
        UnknownNameError: no such network, module or function; the message lists the near matches.
        ValueError: the line has none of the forms above.
    """
    if reason := re.fullmatch(r"\((.*)\)", line):
        return reason[1]
    if made := re.fullmatch(r"(\w+)\(.*\)", line):
        return _function(made[1], _claims(key))(*map(ast.literal_eval, _call(line).args))
    return network(line, key)


def network(line: str, key: str) -> Network:
    """The network of a line; see `measurable`."""
    found = _NETWORK.fullmatch(line)
    if found is None:
        raise ValueError(f"{key}: {line!r} is no network; write {_FORM}")
    if ":" not in found["backbone"] and found["backbone"] not in (known := list_networks()):
        raise unknown("network", found["backbone"], known)
    if found["module"] is not None:
        info(found["module"])
    return Network(
        backbone=found["backbone"],
        attention=found["module"] or "none",
        arguments=tuple(_keywords(found["arguments"] or "").items()),
        classes=int(found["classes"] or 1000),
        change=_change(found["change"], found["settings"], key),
        placement=_placement(found["placement"], key),
    )


def profiler(name: str, key: str) -> Callable[[Network | Module], int]:
    """A function that counts a network, of the paper's claims.py or of `ledger.profilers`."""
    return _function(name, _claims(key), profilers)


def _change(name: str | None, settings: str | None, key: str) -> Any:
    if name is None:
        return None
    function = _function(name, _claims(key), variants)
    if not settings:
        return function
    values = [ast.literal_eval(value) for value in _call(f"{name}({settings})").args]
    return Call(function, *values, **_keywords(settings))


def _placement(text: str | None, key: str) -> Any:
    """A function of claims.py that finds the places, or a rule or a pattern of paths for `networks.attach`."""
    return getattr(_claims(key), text, text) if text is not None else None


def _keywords(text: str) -> dict[str, Any]:
    return {each.arg: ast.literal_eval(each.value) for each in _call(f"module({text})").keywords}


def _call(text: str) -> ast.Call:
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no call: {error.msg}") from error
    if not isinstance(call, ast.Call):
        raise ValueError(f"{text!r} is no call such as name(arguments)")
    return call


def _function(name: str, *modules: ModuleType) -> Any:
    for module in modules:
        if callable(found := getattr(module, name, None)):
            return found
    known = [each for module in modules for each, value in vars(module).items() if callable(value)]
    raise unknown("function of the paper's claims.py or of the engine", name, known)


def _claims(key: str) -> ModuleType:
    return import_module(f"attnlib.papers.{key}.claims")
