"""The sinusoidal code: its formula, rotations, products, two dimensions."""

import math

import pytest
import torch

from attnlib.self_attention.position_codes import sinusoidal, sinusoidal_map
from tests.reference.dot_product import position_code

EXACT = torch.empty((), dtype=torch.float64)


def test_it_is_the_formula():
    code = sinusoidal(50, 12, like=EXACT)
    expected = [[position_code(position, c, 12).real for c in range(12)] for position in range(50)]
    torch.testing.assert_close(code, torch.tensor(expected, dtype=torch.float64), atol=1e-13, rtol=0)


def test_wavelengths_run_from_2_pi_towards_10000_times_that():
    code = sinusoidal(2, 512, like=EXACT)
    angle = torch.atan2(code[1, 0::2], code[1, 1::2])
    assert angle[0].item() == pytest.approx(1, abs=1e-15)
    assert angle[-1].item() == pytest.approx(10000 ** -(510 / 512), rel=1e-12)
    torch.testing.assert_close(angle[1:] / angle[:-1], torch.full((255,), 10000 ** -(2 / 512), dtype=torch.float64))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_shift_turns_every_pair_by_an_angle_that_only_the_shift_decides(k):
    code = sinusoidal(40, 8, like=EXACT)
    for i in range(4):
        angle = k / 10000 ** (2 * i / 8)
        turn = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        pair = code[:, 2 * i : 2 * i + 2]
        turned = pair[:-k] @ torch.tensor(turn, dtype=torch.float64).T
        torch.testing.assert_close(pair[k:], turned, atol=1e-13, rtol=0)


def test_products_of_two_codes_depend_on_their_distance_alone():
    code = sinusoidal(60, 32, like=EXACT)
    products = code @ code.T
    for k in (0, 1, 7, 30):
        along = products.diagonal(k)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-12, rtol=0)
        assert torch.equal(products.diagonal(k), products.diagonal(-k))
    assert (products.diagonal() - 16).abs().max() < 1e-12
    assert products[0, 1] > products[0, 3] > products[0, 10]


def test_half_the_channels_of_a_map_s_code_say_the_row_the_others_the_column():
    code, like = sinusoidal_map(5, 7, 8, EXACT), sinusoidal(7, 4, EXACT)
    assert code.shape == (8, 5, 7)
    for i, j in ((0, 0), (4, 1), (2, 6)):
        assert torch.equal(code[:4, i, j], like[i])
        assert torch.equal(code[4:, i, j], like[j])


def test_a_code_for_half_precision_is_computed_in_float32():
    code = sinusoidal(300, 4, like=torch.empty((), dtype=torch.bfloat16))
    assert code.dtype == torch.float32
    torch.testing.assert_close(code.double(), sinusoidal(300, 4, like=EXACT), atol=1e-4, rtol=0)


def test_an_odd_number_of_channels_is_refused():
    with pytest.raises(
        ValueError, match="channels=7 is odd: each frequency has a sine and a cosine; use an even number"
    ):
        sinusoidal(4, 7, like=EXACT)
