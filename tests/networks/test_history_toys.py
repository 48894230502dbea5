"""The toys of the history: who hears of which letter, who looks where."""

import pytest
import torch

from attnlib.errors import UnknownNameError
from attnlib.networks.glimpses import GRID, PLACES, GlimpseNetwork, cut
from attnlib.networks.reversing import Attending, Recurrent

WORDS = torch.tensor([[0, 0, 1, 2, 3], [4, 5, 6, 7, 8]])


@pytest.mark.parametrize("network", [Recurrent(True), Attending(True), Attending(False)])
def test_each_letter_said_takes_from_all_letters_read(network):
    logits, weights = network.with_weights(WORDS)
    assert logits.shape == (2, 26, 5)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 5))
    torch.testing.assert_close(network(WORDS), logits)


def test_one_vector_has_no_weights():
    logits, weights = Recurrent(False).with_weights(WORDS)
    assert logits.shape == (2, 26, 5)
    assert weights is None


def test_without_positions_equal_letters_get_equal_answers_and_with_them_they_do_not():
    torch.manual_seed(0)
    for positions in (True, False):
        said = Attending(positions)(WORDS)[0]
        assert torch.allclose(said[:, 0], said[:, 1], atol=1e-6) != positions


def test_a_glimpse_of_the_picture_is_one_position_of_the_map_of_all():
    torch.manual_seed(0)
    network, pictures = GlimpseNetwork("soft").double(), torch.rand(3, 3, 64, 64).double()
    place = torch.tensor([0, GRID + 2, PLACES - 1])
    whole = network.glimpse(pictures).flatten(2)[torch.arange(3), :, place]
    torch.testing.assert_close(network.glimpse(cut(pictures, place)).flatten(1), whole)


def test_hard_attention_draws_while_it_learns_and_takes_the_likeliest_place_afterwards():
    torch.manual_seed(0)
    network, pictures = GlimpseNetwork("hard"), torch.rand(64, 3, 64, 64)
    _, scores, place = network(pictures)
    assert (place != scores.argmax(1)).any()
    _, scores, place = network.eval()(pictures)
    assert torch.equal(place, scores.argmax(1))


def test_a_look_at_every_place_names_what_a_look_at_one_names():
    torch.manual_seed(0)
    network, pictures = GlimpseNetwork("oracle").double(), torch.rand(2, 3, 64, 64).double()
    told = torch.tensor([3, 40])
    everywhere = network.everywhere(pictures)
    assert everywhere.shape == (2, PLACES, 4)
    torch.testing.assert_close(everywhere[torch.arange(2), told], network(pictures, told)[0])


def test_an_oracle_looks_where_it_is_told():
    _, _, place = GlimpseNetwork("oracle")(torch.rand(2, 3, 64, 64), torch.tensor([3, 7]))
    assert place.tolist() == [3, 7]


def test_a_way_that_is_none_is_refused(own_errors):
    with pytest.raises(UnknownNameError, match="sharp"):
        GlimpseNetwork("sharp")
