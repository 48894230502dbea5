"""The stem of stand-alone self-attention: sizes, cost, the mixture, blocks at the border, refusals."""

import pytest
import torch
import torch.nn.functional as F

from attnlib import create
from attnlib.profiling.cost import profile
from tests.cases.sasa_stem import CASES
from tests.harness import check_forward


def drawn(**arguments):
    torch.manual_seed(0)
    stem = create("sasa_stem", 3, **{"out_channels": 6, "heads": 3} | arguments).double()
    return stem.eval()


def sample(size=(9, 7), batch=2):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize(("channels", "out_channels", "heads"), [(3, 64, 4), (5, 12, 2)])
def test_parameters(channels, out_channels, heads, kernel_size):
    common = 2 * channels * out_channels + (2 * kernel_size - 1) * out_channels + 2 * out_channels
    sizes = {
        "aware": 3 * channels * out_channels + (2 * kernel_size + 3) * out_channels // heads,
        "convolution": kernel_size**2 * channels * out_channels,
        "plain": channels * out_channels,
    }
    for values, size in sizes.items():
        stem = create(
            "sasa_stem",
            channels,
            out_channels=out_channels,
            heads=heads,
            kernel_size=kernel_size,
            mixtures=3,
            values=values,
        )
        assert count(stem) == common + size


# MACs a pixel: three projections, then q.k, q.r and the weighted sum over 16 pixels; in billions of the paper's FLOPs,
# two a multiply-add, on 224 x 224 pixels.
@pytest.mark.parametrize(
    ("values", "macs", "printed"),
    [("plain", 3 * 192 + 3 * 1024, 7.1), ("convolution", 2 * 192 + 16 * 192 + 3 * 1024, 7.4)],
)
def test_cost_explains_table_7(values, macs, printed):
    size = 32
    cost = profile(create("sasa_stem", 3, values=values), image_size=size)
    assert cost.macs == macs * size**2
    others = 6.97 - 2 * 112**2 * 49 * 3 * 64 / 1e9  # ResNet-50 with attention, less its convolutional stem
    assert others + 2 * macs * 224**2 / 1e9 == pytest.approx(printed, abs=0.05)


def test_four_mixtures_applied_before_they_are_mixed_would_cost_what_table_7_prints():
    macs = (2 + 4) * 192 + 4 * 64 + 3 * 1024
    others = 6.97 - 2 * 112**2 * 49 * 3 * 64 / 1e9
    assert others + 2 * macs * 224**2 / 1e9 == pytest.approx(7.2, abs=0.05)


# The mixture.


def test_p_is_a_distribution_over_the_matrices_at_each_place_of_a_block():
    p = drawn(mixtures=5).block_mixture()
    assert p.shape == (4, 4, 5)
    torch.testing.assert_close(p.sum(-1), torch.ones(4, 4, dtype=torch.float64))
    assert (p.sum((0, 1)) - 16 / 5).abs().max() > 0.1  # and not over the places


def test_one_mixture_is_plain_attention():
    aware, plain = drawn(mixtures=1), drawn(values="plain")
    plain.load_state_dict({name: tensor for name, tensor in aware.state_dict().items() if name in plain.state_dict()})
    torch.testing.assert_close(aware(sample()), plain(sample()), atol=1e-13, rtol=0)


def test_values_depend_on_the_place_in_the_block_and_not_in_the_image():
    stem, block = drawn(), sample((4, 4))
    apart = stem(F.pad(block, (8, 0, 4, 0)))[..., -1, -1]
    torch.testing.assert_close(apart, stem(block)[..., 0, 0], atol=1e-13, rtol=0)
    moved = stem(block.roll(1, 3))
    assert not torch.allclose(moved, stem(block), atol=1e-3)


@pytest.mark.parametrize("values", ["aware", "plain"])
def test_blocks_do_not_meet(values):
    stem, x = drawn(values=values), sample((8, 12))
    changed = x.clone()
    changed[..., :4, 4:8] += 1
    differs = (stem(changed) != stem(x)).any(1).any(0)
    assert differs.tolist() == [[False, True, False], [False, False, False]]


def test_the_convolution_sees_the_neighbouring_blocks():
    stem, x = drawn(values="convolution"), sample((8, 12))
    changed = x.clone()
    changed[..., 0, 4] += 10  # one column before and two after a pixel are in its kernel
    differs = (stem(changed) != stem(x)).any(1).any(0)
    assert differs.tolist() == [[True, True, False], [False, False, False]]


# The border.


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 6), (3, 2, 1), (2, 4, 4)], ids=str)
def test_images_of_a_single_block_along_a_side(case, shape):
    for training in (False, True):
        check_forward(case, shape, training)


def test_what_is_beyond_the_border_has_no_share_and_no_statistics():
    stem = drawn().train()
    x = sample((5, 6), batch=3)
    weights = stem.weights(x)
    assert weights.shape == (3, 3, 30, 16)
    alone = weights[:, :, 5 * 6 - 1].unflatten(-1, (4, 4))  # the last pixel: its block has one row and two columns
    torch.testing.assert_close(alone[..., 0, :2].sum(-1), torch.ones(3, 3, dtype=torch.float64))
    assert not alone[..., 1:, :].any()
    assert not alone[..., 2:].any()
    stem.norm.register_forward_pre_hook(lambda norm, inputs: shapes.append(inputs[0].shape))
    shapes = []
    stem(x)
    assert shapes == [(3, 6, 5, 6)]


def test_224_pixels_leave_56():
    assert create("sasa_stem", 3)(torch.randn(2, 3, 224, 224)).shape == (2, 64, 56, 56)


def test_among_equal_pixels_the_first_gets_the_gradient():
    stem = drawn(values="plain")
    x = torch.ones(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    heights = []
    stem.norm.register_full_backward_hook(lambda norm, inputs, outputs: heights.append(outputs[0]))
    with torch.no_grad():
        stem.row.zero_()
        stem.column.zero_()
    stem(x).sum().backward()
    assert (heights[0].flatten(2) != 0).nonzero()[:, 2].unique().tolist() == [0]


def test_the_weights_are_those_of_the_output():
    stem, x = drawn(values="plain"), sample((8, 8))
    blocks = stem.value[0](x).view(2, 3, 2, 2, 4, 2, 4).movedim(4, 5).flatten(5).flatten(3, 4)
    weights = stem.weights(x).view(2, 3, 2, 4, 2, 4, 16).movedim(3, 4).flatten(4, 5).flatten(2, 3)
    y = torch.einsum("nhbqk,nhcbk->nhcbq", weights, blocks).flatten(1, 2).view(2, 6, 2, 2, 4, 4).movedim(4, 3)
    expected = F.max_pool2d(stem.norm(y.reshape(2, 6, 8, 8)), 4)
    torch.testing.assert_close(stem(x), expected, atol=1e-12, rtol=0)


# Start and refusals.


def test_defaults_are_the_paper_s_stem_of_a_resnet():
    stem = create("sasa_stem", 3)
    assert (stem.heads, stem.kernel_size, stem.values, len(stem.value)) == (4, 4, "aware", 4)
    assert count(stem) == 2 * 192 + 4 * 192 + 7 * 64 + 12 * 16 + 128


def test_network_init_is_that_of_both_ports():
    torch.manual_seed(0)
    stem = create("sasa_stem", 64, out_channels=512)
    torch.nn.init.normal_(stem.norm.weight)
    stem.network_init_()
    assert (stem.norm.weight == 1).all()
    assert not stem.norm.bias.any()
    for layer in (stem.query, stem.key, *stem.value):
        assert layer.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    for embedding in (stem.row, stem.column, stem.block_row, stem.block_column, stem.mixture):
        assert embedding.std().item() == pytest.approx(1, rel=0.1)


def test_a_single_pixel_has_no_variance(own_errors):
    stem = drawn().train()
    with pytest.raises(ValueError, match="2 or more pixels in train mode, got shape .*eval mode"):
        stem(sample((1, 1), batch=1))
    assert stem.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"heads": 5}, ValueError, "heads must divide out_channels; it may be 1, 2, 4"),
        ({"out_channels": 12}, ValueError, "heads=4 cut 12 channels into heads of 3: .*even"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"mixtures": 2.0}, TypeError, "mixtures must be an int, got 2.0"),
        ({"values": "spatial"}, ValueError, "no values is called 'spatial'"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("sasa_stem", 3, **arguments)


def test_an_image_of_0_to_255_is_no_nan_in_float16():
    torch.manual_seed(0)
    stem = create("sasa_stem", 3)
    stem.network_init_()
    image = 255 * torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.float16):
        y = stem(image)
        shares = stem.weights(image, torch.tensor([0, 100]))
    assert y.isfinite().all()
    torch.testing.assert_close(shares.sum(-1), torch.ones(1, 4, 2))
