"""How much of a gate lies on the object, against chance."""

import pytest
import torch

from attnlib.data.looking import share_inside

LEFT = torch.zeros(4, 4, dtype=torch.bool)
LEFT[:, :2] = True
MASKS = torch.stack([LEFT, ~LEFT])


def test_a_gate_that_is_the_mask_is_all_inside_and_by_chance_as_often_as_the_masks_agree():
    assert share_inside(MASKS.double(), MASKS) == pytest.approx((1.0, 0.5))


def test_a_gate_that_is_the_same_for_all_images_is_at_chance():
    own, chance = share_inside(LEFT.double().expand(2, 4, 4), MASKS)
    assert own == pytest.approx(chance) == pytest.approx(0.5)


def test_only_what_lies_above_the_mean_counts_and_scale_and_shift_do_not():
    gate = torch.tensor([[0.0, 0.0, 0.0, 4.0], [0.0, 0.0, 2.0, 2.0]], dtype=torch.float64)
    gate = gate.view(1, 2, 4)  # the mean is 1: three of the four others stand out by 3, 1 and 1
    mask = torch.zeros(1, 2, 4, dtype=torch.bool)
    mask[0, 0, 3] = True
    assert share_inside(gate, mask)[0] == pytest.approx(3 / 5)
    assert share_inside(0.1 * gate + 7, mask)[0] == pytest.approx(3 / 5)


def test_a_pixel_of_a_smaller_map_counts_by_what_the_object_covers_of_it():
    gate = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, :2] = True  # half of the pixel in the corner
    assert share_inside(gate, mask)[0] == pytest.approx(0.5)


def test_flat_gates_are_left_out_and_nothing_but_flat_ones_refused():
    gates = torch.stack([LEFT.double(), torch.full((4, 4), 0.1, dtype=torch.float64)])
    assert share_inside(gates, MASKS)[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="every gate is flat"):
        share_inside(torch.full((2, 4, 4), 0.1), MASKS)


def test_refuses_masks_of_another_number(own_errors):
    with pytest.raises(ValueError, match="1 gates and 2 masks; give one mask for each gate"):
        share_inside(torch.rand(1, 4, 4), MASKS)
