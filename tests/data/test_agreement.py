"""The agreement of scores with a mask, found again from all pairs of pixels."""

import pytest
import torch

from attnlib.data.agreement import agreement

ROWS = torch.arange(6)[:, None].expand(6, 4)


def by_pairs(scores, share):
    """One map; every pixel of the object against every pixel beside it, by the shares of each."""
    won = pairs = 0.0
    for score, on in zip(scores, share, strict=True):
        for other, part in zip(scores, share, strict=True):
            weight = on * (1 - part)
            won += weight * (1.0 if score > other else 0.5 if score == other else 0.0)
            pairs += weight
    return won / pairs


def test_all_pairs_of_pixels_with_ties_and_with_masks_finer_than_the_maps():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(4, (2, 3, 3, 2), generator=generator).double()  # four values, so that many are tied
    masks = torch.rand(2, 6, 4, generator=generator) < 0.4
    found = agreement(scores, masks)
    share = masks.double().reshape(2, 3, 2, 2, 2).mean((2, 4)).flatten(1)
    for image in range(2):
        for number in range(3):
            expected = by_pairs(scores[image, number].flatten().tolist(), share[image].tolist())
            assert found[image, number].item() == pytest.approx(expected, abs=1e-12)


def test_a_perfect_score_a_reversed_one_and_one_that_knows_nothing():
    masks = (ROWS >= 4)[None]
    scores = torch.stack([ROWS, -ROWS, torch.ones(6, 4)])[None].double()
    assert agreement(scores, masks).tolist() == [[1.0, 0.0, 0.5]]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.ones(1, 6, 4, dtype=torch.bool), "empty or full"),
        (torch.zeros(1, 6, 4, dtype=torch.bool), "empty or full"),
        ((ROWS[:5] > 2)[None], "masks of 5 x 4 do not divide into maps of 6 x 4"),
    ],
)
def test_what_cannot_be_compared_is_refused(masks, message):
    with pytest.raises(ValueError, match=message):
        agreement(torch.ones(1, 1, 6, 4), masks)
