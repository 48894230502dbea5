"""Before any training: the gradient grows in SASA through the softmax's shares, not by the norm behind it."""

import pytest
import torch

from attnlib import create
from attnlib.results import measurements
from attnlib.training import Recipe
from benchmarks.sasa_gradients import LAYERS, PLACEMENTS, gradients, paths, start

SMALL = Recipe.named("cifar10-slice", data="shapes", train_images=100)


def holds(plain, whole, values):
    """The finding, in figures by layer of a network without SASA, of one with six, and of its values' path alone."""
    for layer in LAYERS:
        # The same forward, whose deviations are those behind a convolution or little less ...
        assert values[layer]["deviation"] == pytest.approx(whole[layer]["deviation"], rel=1e-3)
        assert 0.6 < whole[layer]["deviation"] / plain[layer]["deviation"] < 1.3
        assert whole[layer]["gain"] > 1.4 * values[layer]["gain"]
    # ... and yet a hundred times the gradient, which through the values alone is that of the plain network, almost.
    first = [network["conv1"]["gradient"] for network in (plain, values, whole)]
    assert first[0] < first[1] < 4 * first[0]
    assert first[2] > 50 * first[1]


def test_the_gradient_grows_through_the_shares():
    holds(
        gradients(start(SMALL, 0), 1),
        gradients(start(SMALL, 2), 1),
        gradients(start(SMALL, 2, "gradient through values alone"), 1),
    )


def test_that_is_so_in_the_table_on_file():
    def network(replaced, form="as it is"):
        rows = measurements("sasa-gradients").rows
        return {row["layer"]: row for row in rows if (row["seed"], row["replaced"], row["form"]) == (0, replaced, form)}

    holds(network(0), network(2), network(2, "gradient through values alone"))
    growth = [network(replaced)["conv1"]["gradient"] for replaced in PLACEMENTS]
    assert growth[0] < growth[1] / 5 < growth[2] / 50
    # Where the deviation is smallest, behind averages with equal shares, the gradient hardly grows.
    equal = network(2, "logits = 0")
    assert all(equal[layer]["deviation"] < 0.85 * network(2)[layer]["deviation"] for layer in LAYERS)
    assert equal["conv1"]["gradient"] < 5 * growth[0]


@pytest.mark.parametrize("heads", [4, 8])
def test_the_derivation_gives_the_gain_for_a_gradient_without_direction(heads):
    torch.manual_seed(0)
    sasa = create("sasa", 32, heads=heads)
    sasa.network_init_()
    x = torch.randn(8, 32, 8, 8).relu().requires_grad_()
    y = sasa(x)
    g = torch.randn_like(y)
    [found] = torch.autograd.grad(y, x, g)
    expected = sum(part**2 for part in paths(sasa, x).values()) ** 0.5
    assert (found.norm() / g.norm()).item() == pytest.approx(expected, rel=0.1)
