"""SAGAN's self-attention: sizes, initial state, the released form against the text's, refusals."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from attnlib import create
from tests.cases.sagan import CASES
from tests.harness import check_forward


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=16, **arguments):
    """A layer in float64 with every parameter drawn, so that it is no identity."""
    torch.manual_seed(0)
    layer = create("sagan", channels, **arguments).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("channels", "released", "text"), [(64, 5121, 2049), (128, 20481, 8193), (256, 81921, 32769)])
def test_parameters_are_5_quarters_of_c_squared_or_a_half(channels, released, text):
    assert count(create("sagan", channels)) == 5 * channels**2 // 4 + 1 == released
    assert count(create("sagan", channels, form="text")) == channels**2 // 2 + 1 == text


def test_no_layer_has_a_bias():
    layer = create("sagan", 64)
    assert {name for name, _ in layer.named_parameters()} == {
        "gamma",
        "query.weight",
        "key.weight",
        "value.weight",
        "out.weight",
    }


@pytest.mark.parametrize("form", ["released", "text"])
@pytest.mark.parametrize("network", [True, False])
def test_it_starts_as_the_identity_and_only_gamma_can_move(form, network):
    layer = create("sagan", 16, form=form)
    if network:
        layer.network_init_()
    x = torch.randn(2, 16, 9, 7)
    y = layer(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert {name for name, parameter in layer.named_parameters() if parameter.grad.any()} == {"gamma"}


def test_network_init_is_xavier():
    torch.manual_seed(0)
    layer = create("sagan", 256)
    layer.network_init_()
    for part in (layer.query, layer.key, layer.value, layer.out):
        fan = part.in_channels + part.out_channels
        assert part.weight.abs().max().item() == pytest.approx((6 / fan) ** 0.5, rel=0.01)
        assert part.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.02)


def test_a_32_x_32_map_has_1024_queries_and_a_quarter_of_the_keys_where_they_are_pooled():
    x = torch.randn(1, 8, 32, 32)
    assert create("sagan", 8).weights(x).shape == (1, 1, 1024, 256)
    assert create("sagan", 8, form="text").weights(x).shape == (1, 1, 1024, 1024)


def test_the_weights_are_what_the_output_is_mixed_with():
    layer, x = drawn(form="text"), maps(2, 16, 5, 7)
    y = (layer.weights(x)[:, 0] @ layer.value(x).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (5, 7))
    torch.testing.assert_close(layer(x), x + layer.gamma * layer.out(y), atol=1e-12, rtol=1e-12)


def test_scores_are_plain_products_of_query_and_key():
    layer, x = drawn(form="text"), maps(1, 16, 5, 7)
    query, key = layer.query(x).flatten(2)[0], layer.key(x).flatten(2)[0]
    weights = layer.weights(x)[0, 0]
    ratio = (weights[3, 5] / weights[3, 8]).log()
    torch.testing.assert_close(ratio, query[:, 3] @ (key[:, 5] - key[:, 8]), atol=1e-10, rtol=1e-10)


def test_odd_rows_and_columns_give_no_keys():
    layer = drawn()
    x, changed = maps(2, 16, 9, 7), maps(2, 16, 9, 7)
    changed[:, :, 8], changed[..., 6] = 5.0, 5.0
    assert torch.equal(layer(x)[:, :, :8, :6], layer(changed)[:, :, :8, :6])


def test_at_ties_the_first_of_a_block_gets_the_gradient():
    layer = create("sagan", 8).double()
    with torch.no_grad():
        layer.gamma.fill_(1.0)
    for part, value in ((layer.query, 0.0), (layer.key, 0.0), (layer.value, 1.0), (layer.out, 1.0)):
        nn.init.constant_(part.weight, value)
    x = torch.ones(1, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    layer(x).sum().backward()  # every output is x plus 4 channels of the mean of four maxima of a sum over 8 channels
    expected = torch.ones(4, 4, dtype=torch.float64)
    expected[::2, ::2] += 16 * 8 * 4 / 4
    torch.testing.assert_close(x.grad[0, 3], expected)


def test_its_weights_can_be_normalised_spectrally_as_both_networks_of_the_paper_do():
    layer, x = drawn(), maps(1, 16, 4, 4)
    for name in ("query", "key", "value", "out"):
        spectral_norm(getattr(layer, name))
    for _ in range(50):  # one power iteration each
        layer(x)
    for name in ("query", "key", "value", "out"):
        largest = torch.linalg.matrix_norm(getattr(layer, name).weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_larger_map_equals_the_loops(case):
    check_forward(case, (1, 13, 11), training=False)


@pytest.mark.parametrize(
    ("channels", "arguments", "error", "says"),
    [
        (16, {"form": "paper"}, ValueError, "no form is called 'paper'; .*released, text"),
        (7, {}, ValueError, r"channels must be at least 8, got 7: .*floor\(channels / 8\)"),
        (16.0, {}, TypeError, "channels must be an int, got 16.0"),
    ],
)
def test_arguments_out_of_range_are_refused(channels, arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("sagan", channels, **arguments)


def test_a_map_that_is_too_small_to_pool_is_refused(own_errors):
    for size in ((1, 6), (6, 1)):
        with pytest.raises(ValueError, match="H and W must be at least 2, got shape .*or form='text'"):
            create("sagan", 8)(torch.randn(2, 8, *size))
        assert create("sagan", 8, form="text")(torch.randn(2, 8, *size)).shape == (2, 8, *size)
