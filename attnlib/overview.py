"""Every module on one page: paper, family, parameters at two widths, status."""

from typing import Any

import torch

from attnlib import registry
from attnlib.catalogue import Family

WIDTHS = (64, 256)


def overview(family: Family | None = None) -> list[dict[str, Any]]:
    """One entry for each module of the papers, or of one family.

    `parameters` maps a width C to the number of parameters with default arguments, or to None where these do not fit
    the width; `reasons` then says why.

    Raises:
        UnknownNameError: no such family.
    """
    return [entry(key) for key in registry.list_modules(family)]


def entry(key: str) -> dict[str, Any]:
    """What `overview` says of one module."""
    known = registry.info(key)
    parameters, reasons = {}, {}
    for channels in WIDTHS:
        try:
            with torch.device("meta"):  # counted without being allocated or initialised
                module = registry.create(key, channels)
            parameters[channels] = sum(parameter.numel() for parameter in module.parameters())
        except ValueError as error:
            parameters[channels], reasons[channels] = None, str(error)
    return {
        "key": key,
        "name": known.name,
        "family": known.family,
        "paper": known.paper,
        "placement": known.placement,
        "status": known.status,
        "parameters": parameters,
        "reasons": reasons,
    }
