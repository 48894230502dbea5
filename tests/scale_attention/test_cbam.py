"""CBAM: sizes, initial state, the released string of operations, timm's parameters, ties, refusals."""

from functools import partial

import pytest
import timm.layers.cbam
import torch
from torch import nn

from attnlib import create
from benchmarks.released import cbam as released

PLACES = {  # of ResNets: width of a stage's blocks -> how many
    "resnet18": {64: 2, 128: 2, 256: 2, 512: 2},
    "resnet34": {64: 3, 128: 4, 256: 6, 512: 3},
    "resnet50": {256: 3, 512: 4, 1024: 6, 2048: 3},
    "resnet101": {256: 3, 512: 4, 1024: 23, 2048: 3},
    "resnet152": {256: 3, 512: 8, 1024: 36, 2048: 3},
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=6, seed=0, **arguments):
    """A CBAM in double precision with parameters of both signs."""
    cbam = create("cbam", channels, **{"reduction": 2} | arguments).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in cbam.parameters():
        nn.init.normal_(parameter, generator=generator)
    return cbam


def logits(gate, x):
    """Of one of the two gates."""
    return gate(*gate.pool(x))


# Sizes.


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (256, 16), (33, 4), (10, 3)])
def test_parameters_are_the_shared_layers_and_100(channels, reduction):
    hidden = channels // reduction
    matrices = 2 * channels * hidden
    assert count(create("cbam", channels, reduction=reduction)) == matrices + channels + hidden + 100
    assert count(create("cbam", channels, reduction=reduction, spatial=False, bias=False)) == matrices
    assert count(create("cbam", channels, channel=False)) == 2 * 49 + 2
    assert count(create("cbam", channels, channel=False, kernel_size=3, norm=False)) == 18
    assert count(create("cbam", channels, channel=False, descriptor="conv")) == channels + 49 + 2


@pytest.mark.parametrize(
    ("network", "total", "plain"),
    [
        ("resnet18", 11_779_392, 11_689_512),
        ("resnet34", 21_960_468, 21_797_672),
        ("resnet50", 28_089_624, 25_557_032),
        ("resnet101", 49_330_172, 44_549_160),
        ("resnet152", 66_826_848, 60_192_808),
    ],
)
def test_totals_of_the_released_networks(network, total, plain):
    added = sum(blocks * count(create("cbam", width)) for width, blocks in PLACES[network].items())
    assert plain + added == total


def test_resnet_50_spends_1600_of_2_5_million_parameters_on_the_spatial_gates():
    whole, spatial = (
        sum(n * count(create("cbam", width, **arguments)) for width, n in PLACES["resnet50"].items())
        for arguments in ({}, {"channel": False})
    )
    assert (whole, spatial) == (2_532_592, 1_600)


def test_the_norm_moves_its_statistics_by_a_hundredth():
    cbam = drawn().train()
    z = cbam.spatial_gate.conv(torch.randn(1, 2, 9, 7, dtype=torch.float64))
    cbam.spatial_gate.norm(z)
    torch.testing.assert_close(cbam.spatial_gate.norm.running_mean, 0.01 * z.mean().view(1))
    torch.testing.assert_close(cbam.spatial_gate.norm.running_var, 0.99 + 0.01 * z.var().view(1))


# The start.


def test_in_the_released_network_the_spatial_gate_starts_at_a_half():
    torch.manual_seed(0)
    cbam = create("cbam", 64)
    linear = cbam.channel_gate.reduce.weight.clone()
    cbam.network_init_()
    x = torch.randn(2, 64, 9, 7)
    assert (create("cbam", 64, channel=False).gate(x) != 0.5).all()
    spatial = cbam.gate(x) / torch.sigmoid(logits(cbam.channel_gate, x))
    torch.testing.assert_close(spatial, torch.full_like(spatial, 0.5))
    assert torch.equal(cbam.channel_gate.reduce.weight, linear)
    assert not cbam.channel_gate.reduce.bias.any()
    assert not cbam.channel_gate.expand.bias.any()


def test_network_init_draws_the_kernel_from_he_s_distribution_by_fan_out():
    torch.manual_seed(0)
    kernels = []
    for _ in range(40):
        cbam = create("cbam", 16, channel=False)
        cbam.network_init_()
        kernels.append(cbam.spatial_gate.conv.weight)
    assert torch.stack(kernels).std().item() == pytest.approx((2 / 49) ** 0.5, rel=0.05)


# The equations' details.


def test_the_released_operations_give_the_same_where_relu_made_ties():
    cbam = drawn().train()
    x = torch.randn(3, 6, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).relu()
    x[:, :, :2] = 0
    x[0] = 0
    results = []
    for call in (cbam, lambda x: released(cbam, x)):
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        cbam.zero_grad()
        (y * torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        results.append([y, leaf.grad, *(parameter.grad for parameter in cbam.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("pools", [("max",), ("avg", "max")])
def test_of_equal_maxima_of_a_channel_the_first_gets_the_gradient(pools):
    cbam = drawn(spatial=False, channel_pools=pools)
    x = torch.zeros(1, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    logits(cbam.channel_gate, x).sum().backward()
    gradient = x.grad.flatten(2)
    assert (gradient[..., 0] != gradient[..., 1]).all()
    assert (gradient[..., 1:] == gradient[..., 1:2]).all()


def test_of_equal_channels_of_a_pixel_the_first_gets_the_gradient():
    cbam = drawn(channel=False, norm=False)
    x = torch.zeros(1, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    logits(cbam.spatial_gate, x).sum().backward()
    assert (x.grad[:, 0] != x.grad[:, 1]).all()
    assert (x.grad[:, 1:] == x.grad[:, 1:2]).all()


def test_both_pools_share_their_layers_and_the_output_s_bias_counts_twice():
    cbam = create("cbam", 6, reduction=2, spatial=False)
    for parameter in cbam.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(cbam.channel_gate.expand.bias, 0.7)
    x = torch.randn(1, 6, 3, 4)
    torch.testing.assert_close(cbam.gate(x), torch.full((1, 6, 1, 1), 1.4).sigmoid())
    one = create("cbam", 6, reduction=2, spatial=False, channel_pools=["max"])
    one.load_state_dict(cbam.state_dict())
    torch.testing.assert_close(one.gate(x), torch.full((1, 6, 1, 1), 0.7).sigmoid())


@pytest.mark.parametrize(("place", "pool"), [(0, lambda x: x.amax(1, keepdim=True)), (1, lambda x: x.mean(1, True))])
def test_the_kernel_sees_the_maximum_first_and_the_mean_second(place, pool):
    cbam = create("cbam", 6, channel=False, norm=False)
    nn.init.zeros_(cbam.spatial_gate.conv.weight)
    with torch.no_grad():
        cbam.spatial_gate.conv.weight[0, place, 3, 3] = 1
    x = torch.randn(2, 6, 9, 7)
    torch.testing.assert_close(cbam.gate(x), torch.sigmoid(pool(x)))


def test_the_second_gate_sees_the_gated_map_unless_both_are_parallel():
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    for order in ("channel-first", "spatial-first", "parallel"):
        cbam = drawn(order=order).eval()
        channel, spatial = (partial(logits, gate) for gate in (cbam.channel_gate, cbam.spatial_gate))
        if order == "parallel":
            expected = x * torch.sigmoid(channel(x) + spatial(x))
        else:
            first, second = (channel, spatial) if order == "channel-first" else (spatial, channel)
            expected = x * torch.sigmoid(first(x))
            expected = expected * torch.sigmoid(second(expected))
        torch.testing.assert_close(cbam(x), expected, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(x * cbam.gate(x), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("order", ["channel-first", "spatial-first", "parallel"])
def test_gradients_that_a_hook_holds_are_never_added_to(order):
    cbam, held = drawn(order=order), []

    def hold(gradient):
        held.append((gradient, gradient.clone()))

    def watch(gate, inputs, output):
        for tensor in output if isinstance(output, tuple) else (output,):
            if tensor.requires_grad:
                tensor.register_hook(hold)

    for gate in (cbam.channel_gate, cbam.spatial_gate):
        gate.register_forward_hook(watch)
    cbam(torch.randn(2, 6, 5, 4, dtype=torch.float64, requires_grad=True)).square().sum().backward()
    assert len(held) == 2
    assert all(torch.equal(gradient, before) for gradient, before in held)


# Others' parameters.


def test_timm_s_parameters_give_timm_s_output():
    theirs = timm.layers.cbam.CbamModule(48, rd_ratio=1 / 8).double()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    theirs.spatial.conv.bn.running_mean.fill_(0.2)
    theirs.spatial.conv.bn.running_var.fill_(0.7)
    ours = create("cbam", 48, reduction=8, bias=False).double()
    state = {
        "channel_gate.reduce.weight": theirs.channel.fc1.weight.flatten(1),
        "channel_gate.expand.weight": theirs.channel.fc2.weight.flatten(1),
        # timm's kernel sees the mean first.
        "spatial_gate.conv.weight": theirs.spatial.conv.conv.weight.flip(1),
        **{f"spatial_gate.norm.{name}": value for name, value in theirs.spatial.conv.bn.state_dict().items()},
    }
    ours.load_state_dict(state)
    x = torch.randn(2, 48, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-12, rtol=1e-12)


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reduction": 65}, r"reduction=65 does not fit channels=64: .*between 1 and 64"),
        ({"kernel_size": 4}, "kernel_size must be odd, .*got 4; try 3 or 5"),
        ({"channel": False, "spatial": False}, "leave no gate; choose one or both"),
        ({"channel": False, "order": "parallel"}, "order='parallel' is for two gates; pass channel=True"),
        ({"order": "channel_first"}, "no order is called 'channel_first'; .*'channel-first'"),
        ({"descriptor": "avgmax"}, "no descriptor is called 'avgmax'; .*max-avg"),
        ({"channel_pools": ("lse",)}, "no channel_pools is called 'lse'; .*avg, max"),
        ({"channel_pools": ()}, r'channel_pools must name "avg", "max" or both once, got \(\)'),
        ({"channel_pools": ("max", "max")}, r"or both once, got \('max', 'max'\)"),
    ],
)
def test_impossible_choices_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        create("cbam", 64, **arguments)


@pytest.mark.parametrize("name", ["channel", "spatial", "bias", "norm"])
def test_flags_in_quotes_are_refused(name, own_errors):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 'False'"):
        create("cbam", 64, **{name: "False"})


def test_one_pool_in_quotes_is_refused(own_errors):
    with pytest.raises(TypeError, match="channel_pools must be a list or tuple such as .*got 'avg'"):
        create("cbam", 64, channel_pools="avg")


def test_a_reduction_does_not_matter_without_the_channel_gate():
    assert count(create("cbam", 8, channel=False)) == 100


def test_one_value_cannot_be_normalised_in_train_mode_and_nothing_is_counted():
    cbam = drawn().train()
    with pytest.raises(ValueError, match=r"spatial gate needs 2 or more values .* got shape \(1, 1, 1\); use a larger"):
        cbam(torch.randn(1, 6, 1, 1, dtype=torch.float64))
    assert cbam.spatial_gate.norm.num_batches_tracked == 0
    assert cbam.eval()(torch.randn(1, 6, 1, 1, dtype=torch.float64)).isfinite().all()
    assert drawn(norm=False).train()(torch.randn(1, 6, 1, 1, dtype=torch.float64)).isfinite().all()
