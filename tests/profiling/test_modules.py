"""Every module's multiply-adds: the count, torch's counter and the closed formula of its equations."""

import pytest
import torch

from attnlib import create, info, list_modules
from attnlib.profiling.cost import profile
from attnlib.profiling.trace import count_operations
from tests.profiling import formulas
from tests.profiling.flops import flop_counter_macs

# A trace hands sizes over as tensors, which the type checker would refuse where a signature says int or float.
pytestmark = pytest.mark.usefixtures("own_errors")

SIZES = ((8, 12), (7, 13))


@pytest.mark.parametrize("key", list_modules())
def test_multiply_adds_follow_the_equations(key):
    for channels in (3, 5) if key == "sasa_stem" else (64, 160):
        for size in SIZES:
            module = create(key, channels, **info(key).arguments_for(channels, size))
            expected = getattr(formulas, key)(channels, *size)
            x = torch.zeros(1, channels, *size)
            assert sum(count_operations(module, x)["macs"].values()) == expected, (channels, size)
            assert flop_counter_macs(module, x) == expected, (channels, size)


def test_a_gate_of_constants_costs_no_multiply_add():
    assert profile(create("constant", 8), 4, in_channels=8).macs == 0
