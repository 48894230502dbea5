"""A record names its place: the network that its recipe builds today is the one that was trained."""

from collections import Counter

import pytest
import torch

from attnlib import networks
from attnlib.networks import attach, attention_modules
from attnlib.results import archive
from attnlib.training.record import Record

RECORDS = {
    (record.recipe.backbone, record.recipe.label): record
    for record in map(Record.load, archive.files())
    if record.status == "finished"
}


@pytest.mark.parametrize(("backbone", "label"), RECORDS)
def test_the_modules_of_a_record_are_where_they_were(backbone, label):
    """Their number, forms and parameters; and a pass through the network finds the places that its names give."""
    record = RECORDS[backbone, label]
    recipe, size = record.recipe, networks.image_size(backbone)
    with torch.device("meta"):
        model = networks.create(backbone, 10, recipe.attention, recipe.attention_args, size, recipe.placement)
        plain = networks.create(backbone, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == record.parameters
    modules = attention_modules(model)
    if record.attached:  # the first records do not say it
        assert Counter(" ".join(repr(module).split()) for module in modules.values()) == record.attached
    if recipe.attention != "none":
        attached = attach(
            plain, recipe.attention, size, recipe.placement, dry_run=True, strict=True, **recipe.attention_args
        )
        assert [entry.path for entry in attached] == list(modules)
