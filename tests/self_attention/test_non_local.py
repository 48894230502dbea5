"""Non-local block: sizes, initial state, the released order against the paper's, sub-sampling, refusals."""

import pytest
import torch
from timm.layers.non_local_attn import NonLocalAttn
from torch import nn

from attnlib import create
from tests.cases.non_local import case
from tests.harness import check_forward, check_gradients, sample

PAIRWISE = ("embedded", "gaussian", "dot", "concat")


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(channels=6, seed=0, **arguments):
    """A block in float64 whose every parameter is drawn, so that it is no identity."""
    torch.manual_seed(seed)
    block = create("non_local", channels, **arguments).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    return block.eval()


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# Sizes.


@pytest.mark.parametrize(
    ("channels", "embedded", "gaussian"),
    [(64, 8480, 4320), (256, 132224, 66432), (512, 526592, 263936), (1024, 2101760, 1052160)],
)
def test_parameters_are_2_c_squared_and_4_and_a_half_c(channels, embedded, gaussian):
    assert 2 * channels**2 + 9 * channels // 2 == embedded
    assert channels**2 + 7 * channels // 2 == gaussian
    counts = {pairwise: count(create("non_local", channels, pairwise=pairwise)) for pairwise in PAIRWISE}
    assert counts == {"embedded": embedded, "gaussian": gaussian, "dot": embedded, "concat": embedded + channels}


def test_five_blocks_add_7_36_million_parameters_to_resnet_101():
    assert sum(count(create("non_local", channels)) for channels in (512, 512, 1024, 1024, 1024)) == 7_358_464


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_sequences_maps_and_videos_have_the_same_parameters(dimensions):
    assert count(create("non_local", 64, dimensions=dimensions)) == 8480


# The start.


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("network", [True, False])
def test_it_starts_as_the_identity(pairwise, norm, network):
    block = create("non_local", 6, pairwise=pairwise, norm=norm)
    if network:
        block.network_init_()
    x = torch.randn(2, 6, 9, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("norm", "moving"), [(True, "norm"), (False, "out")])
def test_the_first_step_can_move_the_last_layer_alone(norm, moving):
    block = create("non_local", 6, norm=norm)
    block(torch.randn(2, 6, 9, 7)).square().sum().backward()
    moved = {name for name, parameter in block.named_parameters() if parameter.grad.any()}
    assert moved == {f"{moving}.weight", f"{moving}.bias"}


def test_network_init_is_gaussian_of_a_hundredth_with_zero_biases():
    torch.manual_seed(0)
    block = create("non_local", 256, pairwise="concat")
    block.network_init_()
    for layer in (block.theta, block.phi, block.g, block.out):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert not layer.bias.any()
    assert block.pair.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert not block.norm.weight.any()


# What f is.


def test_the_released_scale_is_the_root_of_the_inner_channels():
    x = maps(2, 6, 5, 7)
    scaled, plain = drawn(), drawn(scale=False)
    with torch.no_grad():
        for parameter in plain.theta.parameters():
            parameter.mul_(3**-0.5)
    torch.testing.assert_close(scaled(x), plain(x), atol=1e-12, rtol=1e-12)
    assert torch.equal(drawn(scale=True)(x), scaled(x))
    assert [create("non_local", 6, pairwise=pairwise).scale for pairwise in PAIRWISE] == [3**-0.5, 1, 1, 1]


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_the_weights_are_what_the_output_is_mixed_with(pairwise):
    block, x = drawn(pairwise=pairwise), maps(2, 6, 5, 7)
    y = (block.weights(x)[:, 0] @ block.g(x).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (5, 7))
    torch.testing.assert_close(x + block.norm(block.out(y)), block(x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("subsample", [True, False])
def test_dot_divides_by_the_keys_that_are_left(subsample):
    block = drawn(pairwise="dot", subsample=subsample)
    for layer in (block.theta, block.phi):
        nn.init.zeros_(layer.weight)
        nn.init.ones_(layer.bias)
    keys = 4 * 3 if subsample else 9 * 7
    torch.testing.assert_close(block.weights(maps(2, 6, 9, 7)), torch.full((2, 1, 63, keys), 3 / keys).double())


def test_a_sum_over_all_keys_stays_in_the_range_of_float16():
    block = create("non_local", 1, reduction=1, pairwise="dot", norm=False).half()
    for layer in (block.theta, block.phi, block.g):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 16)  # 400 keys: their products sum to 102,400
    nn.init.constant_(block.out.weight, 2**-12)
    torch.testing.assert_close(block(torch.zeros(1, 1, 20, 20).half()), torch.full((1, 1, 20, 20), 1.0).half())


def test_concatenated_pairs_may_weigh_nothing_and_their_rows_need_not_sum_to_one():
    block, x = drawn(pairwise="concat"), maps(2, 6, 9, 7)
    weights = block.weights(x)
    assert (weights >= 0).all()
    assert (weights == 0).any()
    nn.init.constant_(block.theta.bias, 1e3)
    nn.init.constant_(block.pair.weight, -1.0)
    assert not block.weights(x).any()
    nn.init.constant_(block.pair.weight, 1.0)
    assert (block.weights(x).sum(-1) > 1).all()


# Sub-sampling.


def test_keys_are_a_quarter_and_odd_rows_and_columns_are_left_out():
    for pool in ("input", "projections"):
        block = drawn(subsample=True, pool=pool)
        assert block.weights(maps(2, 6, 8, 6)).shape == (2, 1, 48, 12)
        x, changed = maps(2, 6, 9, 7), maps(2, 6, 9, 7)
        changed[:, :, 8], changed[..., 6] = 5.0, 5.0
        rows = torch.arange(7)  # queries of the first row, whose last is in the changed column
        same = torch.equal(block.weights(x, rows)[:, :, :6], block.weights(changed, rows)[:, :, :6])
        assert same
        assert block(x).shape == x.shape


def test_the_released_code_pools_before_the_projections_the_paper_behind():
    x = maps(2, 6, 8, 6)
    before, behind = drawn(subsample=True), drawn(subsample=True, pool="projections")
    assert not torch.allclose(before(x), behind(x), atol=1e-3)
    blocks = x[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)  # here the maximum changes nothing
    torch.testing.assert_close(before(blocks), behind(blocks), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(before(blocks), drawn()(blocks), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("pool", ["input", "projections"])
def test_at_ties_the_first_of_a_block_gets_the_gradient(pool):
    block = create("non_local", 1, reduction=1, pairwise="dot", subsample=True, pool=pool, norm=False).double()
    for layer, weight, bias in ((block.theta, 0, 1), (block.phi, 0, 1), (block.g, 1, 0), (block.out, 1, 0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    block(x).sum().backward()  # every output is x plus the mean of the four maxima
    expected = torch.ones(4, 4, dtype=torch.float64)
    expected[::2, ::2] += 16 / 4
    torch.testing.assert_close(x.grad[0, 0], expected)


@pytest.mark.parametrize("pool", ["input", "projections"])
def test_a_video_is_never_pooled_over_time(pool):
    video = case(dimensions=3, subsample=True, pool=pool)
    for shape in ((2, 3, 4, 5), (1, 1, 2, 7)):
        check_forward(video, shape, training=True)
    check_gradients(video, (1, 3, 2, 5), training=False)
    assert video.build().weights(sample(video, 1, 3, 5, 4)).shape == (1, 1, 60, 3 * 2 * 2)


# What is done to a projection acts, although all three are computed at once.


@pytest.mark.parametrize("arguments", [{}, {"subsample": True}, {"subsample": True, "pool": "projections"}], ids=str)
@pytest.mark.parametrize("name", ["theta", "phi", "g"])
def test_hooks_of_a_projection_run_and_change_what_it_gives(name, arguments):
    x = maps(2, 6, 5, 7)
    for hooked in ("register_forward_hook", "register_forward_pre_hook"):
        block, doubled, shapes = drawn(**arguments), drawn(**arguments), []
        layer = getattr(doubled, name)
        with torch.no_grad():
            layer.weight.mul_(2)
            if hooked == "register_forward_hook":
                layer.bias.mul_(2)
        getattr(getattr(block, name), hooked)(
            lambda layer, inputs, *output, seen=shapes: (seen.append(inputs[0].shape), 2 * [*inputs, *output][-1])[1]
        )
        torch.testing.assert_close(block(x), doubled(x), atol=1e-12, rtol=1e-12)
        assert shapes == [(2, 6, 2, 3) if name != "theta" and arguments == {"subsample": True} else x.shape]


@pytest.mark.parametrize("apply", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_a_normalised_projection_is_normalised(apply):
    block, expected, x = drawn(), drawn(), maps(2, 6, 5, 7)
    apply(block.theta)
    magnitudes = dict(block.theta.named_parameters())
    with torch.no_grad():
        magnitudes.get("weight_g", magnitudes.get("parametrizations.weight.original0")).mul_(3)
        expected.theta.weight.mul_(3)
    torch.testing.assert_close(block(x), expected(x), atol=1e-12, rtol=1e-12)


# Larger maps than the common cases have, and another library's weights.


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_larger_maps_equal_the_loops(pairwise):
    check_forward(case(pairwise=pairwise), (1, 13, 11), training=True)


def test_timm_s_parameters_load_and_give_its_output():
    theirs = NonLocalAttn(48, use_scale=False, rd_ratio=0.5, rd_divisor=1).double().eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.4)
    names = {"t": "theta", "p": "phi", "g": "g", "z": "out", "norm": "norm"}
    ours = create("non_local", 48, scale=False).double().eval()
    state = {}
    for name, tensor in theirs.state_dict().items():
        layer, rest = name.split(".")
        state[f"{names[layer]}.{rest}"] = tensor
    ours.load_state_dict(state)
    x = maps(2, 48, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-12, rtol=1e-12)


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"pairwise": "embeded"}, ValueError, "no pairwise is called 'embeded'; .*'embedded'"),
        ({"pool": "output"}, ValueError, "no pool is called 'output'; .*input"),
        ({"dimensions": 4}, ValueError, "dimensions must be 1, 2 or 3, got 4"),
        ({"dimensions": 2.0}, TypeError, "dimensions must be an int, got 2.0"),
        ({"reduction": 7}, ValueError, "reduction=7 does not fit channels=6: .*between 1 and 6"),
        ({"subsample": "True"}, TypeError, "subsample must be True or False, got 'True'"),
        ({"scale": 1}, TypeError, "scale must be True or False, got 1"),
        ({"scale": False, "pairwise": "dot"}, ValueError, "scale=False has no use with pairwise='dot': .*leave it out"),
        ({"scale": True, "pairwise": "gaussian"}, ValueError, "scale=True has no use with pairwise='gaussian'"),
        ({"pool": "projections"}, ValueError, "pool='projections' has no use with subsample=False; leave it out, or"),
        ({"pool": "input", "subsample": False}, ValueError, "pool='input' has no use with subsample=False"),
        ({"norm": None}, TypeError, "norm must be True or False, got None"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("non_local", 6, **arguments)


def test_a_single_value_per_channel_is_refused_in_train_mode_and_nothing_counted(own_errors):
    block = create("non_local", 6)
    with pytest.raises(ValueError, match=r"2 or more values per channel in train mode, got shape \(1, 6, 1, 1\)"):
        block(torch.randn(1, 6, 1, 1))
    assert block.norm.num_batches_tracked == 0
    assert block.eval()(torch.randn(1, 6, 1, 1)).isfinite().all()
    assert create("non_local", 6, norm=False)(torch.randn(1, 6, 1, 1)).isfinite().all()


@pytest.mark.parametrize(("dimensions", "size"), [(1, (1,)), (2, (1, 6)), (2, (6, 1)), (3, (4, 1, 6)), (3, (4, 6, 1))])
def test_a_map_that_is_too_small_to_pool_is_refused(dimensions, size, own_errors):
    block = create("non_local", 6, subsample=True, dimensions=dimensions)
    with pytest.raises(ValueError, match="must be at least 2 .*got shape .*larger map, or subsample=False"):
        block(torch.randn(2, 6, *size))


@pytest.mark.parametrize(
    ("dimensions", "rank"), [(2, 5), (2, 3), (3, 4), (1, 4)], ids=["video", "sequence", "map", "map for a sequence"]
)
def test_a_map_of_another_rank_says_which_dimensions_to_build(dimensions, rank, own_errors):
    block = create("non_local", 8, dimensions=dimensions)
    with pytest.raises(ValueError, match=rf"got shape .*build the block with dimensions={rank - 2}"):
        block(torch.zeros(2, 8, *[4] * (rank - 2)))
