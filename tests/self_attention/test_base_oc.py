"""Base-OC, and the object context that all three heads are built from."""

import copy

import pytest
import torch
from torch import nn

from attnlib import create
from attnlib.self_attention.object_context import PositiveScale
from tests.cases.ocnet import CASES
from tests.harness import check_forward


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=6, seed=0, **arguments):
    """A head in float64, eval mode, with every parameter drawn: its context is not zero."""
    torch.manual_seed(seed)
    head = create("base_oc", channels, **arguments).double()
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    return head.eval()


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# Sizes and the start.


def test_the_paper_s_head_has_920_576_parameters():
    assert count(create("base_oc", 512)) == 920_576


@pytest.mark.parametrize(("channels", "key", "value"), [(12, 6, 6), (10, 3, 4)])
@pytest.mark.parametrize("shared", [True, False])
def test_parameters_as_the_docstring_counts_them(channels, key, value, shared):
    head = create("base_oc", channels, key_channels=key, value_channels=value, shared=shared)
    expected = (channels + 3) * key * (1 if shared else 2) + (channels + 1) * value + (value + 1) * channels
    assert count(head) == expected + 2 * channels**2 + 3 * channels


def test_the_context_starts_at_zero_so_that_the_head_is_a_fusion_of_x_alone():
    head, x = create("base_oc", 6, dropout=0.0), torch.randn(2, 6, 9, 7)
    assert not head.context(x).any()
    head.eval()
    alone = head.fuse(torch.cat([torch.zeros_like(x), x], 1))
    assert torch.equal(head(x), alone)


def test_the_first_step_leaves_the_transforms_of_queries_keys_and_values():
    head = create("base_oc", 6)
    head(torch.randn(2, 6, 9, 7)).square().sum().backward()
    still = {name for name, parameter in head.named_parameters() if not parameter.grad.any()}
    assert still == {name for name, _ in head.named_parameters() if name.startswith(("context.query", "context.value"))}


# The norm.


def test_the_norm_scales_by_the_magnitude_of_gamma_plus_eps():
    scale, x = PositiveScale(3).double(), maps(4, 3, 5, 7)
    norm, plain = nn.Sequential(nn.BatchNorm2d(3, affine=False), scale).double(), nn.BatchNorm2d(3).double()
    nn.init.zeros_(scale.weight)
    nn.init.constant_(plain.weight, plain.eps)
    torch.testing.assert_close(norm(x), plain(x), atol=1e-15, rtol=1e-12)
    for sign in (-1.0, 1.0):
        nn.init.constant_(scale.weight, 0.7 * sign)
        nn.init.constant_(plain.weight, 0.7 + plain.eps)
        torch.testing.assert_close(norm(x), plain(x), atol=1e-13, rtol=0)


@pytest.mark.parametrize("key", ["base_oc", "pyramid_oc", "asp_oc"])
def test_synchronised_norms_keep_the_positive_scales(key):
    head = next(case for case in CASES if case.key == key).build().eval()
    for layer in head.modules():
        if isinstance(layer, PositiveScale):
            layer.weight.data[0] = -0.5  # where |gamma| and gamma differ
    x = maps(2, head.channels, 7, 6)
    expected = head(x)
    head = nn.SyncBatchNorm.convert_sync_batchnorm(head)
    assert any(isinstance(layer, nn.SyncBatchNorm) for layer in head.modules())
    assert torch.equal(head(x), expected)


def test_behind_each_norm_is_a_leaky_relu_of_a_hundredth():
    head = drawn()
    before = {}
    head.fuse[2].register_forward_hook(lambda module, inputs, output: before.update(z=output))
    y = head(maps(2, 6, 9, 7))
    z = before["z"]
    assert (z < 0).any()
    assert torch.equal(y, torch.where(z > 0, z, 0.01 * z))


def test_statistics_of_the_shared_transform_move_twice_a_batch_as_released():
    head, x = drawn(dropout=0.0).train(), maps(3, 6, 5, 7)
    twice = copy.deepcopy(head.context.query)
    twice[1].momentum = 0.1
    for _ in range(2):  # once for the queries, once for the keys
        twice(x)
    head(x)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(head.context.query[1], name), getattr(twice[1], name), atol=1e-14, rtol=0)
    own = drawn(shared=False, dropout=0.0).train()
    own(x)
    once = copy.deepcopy(drawn(shared=False).context.query).train()
    once(x)
    assert torch.equal(own.context.query[1].running_mean, once[1].running_mean)


# The weights.


def test_scores_are_symmetric_where_queries_and_keys_share_their_transform():
    def circles(weights):
        """w_ab w_bc w_ca over w_ac w_cb w_ba: one for symmetric scores, whatever each row is divided by."""
        a, b, c = 3, 11, 29
        return (
            weights[:, 0, a, b]
            * weights[:, 0, b, c]
            * weights[:, 0, c, a]
            / (weights[:, 0, a, c] * weights[:, 0, c, b] * weights[:, 0, b, a])
        )

    x = maps(2, 6, 5, 7)
    torch.testing.assert_close(circles(drawn().weights(x)), torch.ones(2).double(), atol=1e-12, rtol=0)
    assert (circles(drawn(shared=False).weights(x)) - 1).abs().min() > 1e-3


def test_scores_are_divided_by_the_root_of_the_key_channels():
    head, x = drawn(), maps(1, 6, 5, 7)
    f = head.context.query(x).flatten(2)[0]
    weights = head.weights(x)[0, 0]
    ratio = (weights[4, 9] / weights[4, 2]).log()
    torch.testing.assert_close(ratio, f[:, 4] @ (f[:, 9] - f[:, 2]) * 3**-0.5, atol=1e-12, rtol=1e-12)


def test_the_weights_are_what_the_context_is_mixed_with():
    head, x = drawn(), maps(2, 6, 5, 7)
    values = head.context.value(x).flatten(2).transpose(1, 2)
    y = (head.weights(x)[:, 0] @ values).transpose(1, 2).unflatten(2, (5, 7))
    torch.testing.assert_close(head.context.out(y), head.context(x), atol=1e-12, rtol=1e-12)


def test_a_97_x_97_map_has_88_million_weights_and_a_pooled_one_about_a_16th():
    one = torch.tensor([0])
    x = torch.randn(1, 2, 97, 97)
    assert create("base_oc", 2).weights(x, one).shape == (1, 1, 1, 9409)
    assert 9409**2 == 88_529_281
    assert create("base_oc", 2, scale=2).weights(x, one).shape == (1, 1, 1, 48 * 48)


def test_queries_outside_the_map_that_attends_are_refused(own_errors):
    head = create("base_oc", 6, scale=2).eval()
    for position in (6, -1):
        with pytest.raises(ValueError, match=rf"between 0 and 5, .* of the map that attends, got \[{position}\]"):
            head.weights(torch.randn(1, 6, 5, 7), torch.tensor([position]))


# The pooled form, dropout, larger maps.


def test_the_enlarged_context_keeps_its_corners():
    head, x = drawn(scale=2), maps(1, 6, 8, 10)
    small = drawn().context(nn.functional.max_pool2d(x, 2))
    large = head.context(x)
    for i, j in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        torch.testing.assert_close(large[..., i, j], small[..., i, j], atol=1e-12, rtol=1e-12)


def test_at_ties_the_first_of_a_pooled_block_gets_the_gradient():
    head = drawn(scale=2)
    x = torch.ones(1, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    head.context(x).sum().backward()
    moved = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(4, 4, dtype=torch.bool)
    expected[::2, ::2] = True
    assert torch.equal(moved, expected)


@pytest.mark.parametrize(("key", "probability"), [("base_oc", 0.05), ("pyramid_oc", 0.05), ("asp_oc", 0.1)])
def test_dropout_takes_whole_channels_in_train_mode_alone(key, probability):
    assert create(key, 8).drop.p == probability
    torch.manual_seed(0)
    head, x = create(key, 8, dropout=0.5), torch.randn(4, 8, 6, 7)
    dropped = (head(x) == 0).flatten(2)
    assert dropped.any()
    assert torch.equal(dropped.any(-1), dropped.all(-1))
    assert (head.eval()(x) != 0).any(-1).all()


@pytest.mark.parametrize("case", [case for case in CASES if case.channels == 5], ids=str)
@pytest.mark.parametrize("size", [(9, 7), (13, 11)])
def test_larger_maps_equal_the_loops(case, size):
    check_forward(case, (1, *size), training=True)


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"key_channels": 0}, ValueError, "key_channels must be at least 1, got 0"),
        ({"value_channels": 2.5}, TypeError, "value_channels must be an int, got 2.5"),
        ({"scale": 0}, ValueError, "scale must be at least 1, got 0"),
        ({"shared": "no"}, TypeError, "shared must be True or False, got 'no'"),
        ({"dropout": 1.5}, ValueError, "dropout must be a probability between 0 and 1, got 1.5"),
        ({"dropout": "0.1"}, TypeError, "dropout must be a number between 0 and 1, got '0.1'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("base_oc", 6, **arguments)


def test_one_channel_leaves_no_half(own_errors):
    with pytest.raises(ValueError, match="channels=1 leaves 0 for key_channels, .*use 2 channels or more, or give"):
        create("base_oc", 1)
    with pytest.raises(ValueError, match="channels=1 leaves 0 for value_channels, .*or give value_channels"):
        create("base_oc", 1, key_channels=1)
    head = create("base_oc", 1, key_channels=1, value_channels=1)
    assert head(torch.randn(2, 1, 3, 3)).shape == (2, 1, 3, 3)


def test_a_single_value_per_channel_is_refused_in_train_mode_and_nothing_counted(own_errors):
    for arguments, size in (({}, (1, 1)), ({"scale": 2}, (3, 3))):
        head = create("base_oc", 6, **arguments)
        with pytest.raises(ValueError, match=r"2 or more values per channel in train mode, got shape \(1, 6, \d, \d\)"):
            head(torch.randn(1, 6, *size))
        assert head.fuse[1].num_batches_tracked == 0
        assert head.eval()(torch.randn(1, 6, *size)).isfinite().all()
