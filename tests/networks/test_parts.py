"""Depths that networks may have, and the initialisation that several share."""

import pytest
import torch
from torch import nn

from attnlib.networks.parts import blocks_per_stage, fan_out_init_


@pytest.mark.parametrize(
    ("depth", "layers", "extra", "n"), [(8, 6, 2, 1), (110, 6, 2, 18), (164, 9, 2, 18), (28, 6, 4, 4), (10, 6, 4, 1)]
)
def test_blocks_of_a_legal_depth(depth, layers, extra, n):
    assert blocks_per_stage(depth, layers, extra) == n


@pytest.mark.parametrize(
    ("depth", "layers", "extra", "choose"),
    [
        (21, 6, 2, "20 or 26"),
        (25, 6, 2, "20 or 26"),
        (27, 6, 4, "22 or 28"),
        (2, 6, 2, "8"),
        (4, 6, 4, "10"),
        (1, 9, 2, "11"),
        (12, 9, 2, "11 or 20"),
    ],
)
def test_a_depth_between_two_legal_ones_names_both(depth, layers, extra, choose):
    says = rf"depth={depth} is not {layers}n \+ {extra} with n >= 1 blocks a stage; choose {choose}$"
    with pytest.raises(ValueError, match=says):
        blocks_per_stage(depth, layers, extra)


@pytest.mark.parametrize("depth", [20.0, "20", True])
@pytest.mark.usefixtures("own_errors")
def test_a_depth_is_whole(depth):
    with pytest.raises(TypeError, match="depth must be an int"):
        blocks_per_stage(depth, 6, 2)


@pytest.mark.parametrize("std", [None, 0.01])
def test_standard_deviations_and_biases(std):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(40, 90, 3, groups=10), nn.Conv2d(300, 200, 1), nn.Linear(300, 400))
    before = model[2].weight.clone()
    fan_out_init_(model, std)
    grouped, pointwise, linear = (layer.weight for layer in model)
    assert grouped.std().item() == pytest.approx((2 / (9 * 90)) ** 0.5, rel=0.05)
    assert pointwise.std().item() == pytest.approx((2 / 200) ** 0.5, rel=0.05)
    assert not any(layer.bias.any() for layer in model)
    if std is None:
        assert torch.equal(linear, before)
    else:
        assert linear.std().item() == pytest.approx(std, rel=0.05)
