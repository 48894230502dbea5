"""Gather-Excite: sizes, windows and their borders, the nearest pixel, the parts of the learned forms, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnlib import create
from attnlib.scale_attention.ge import resize_nearest, scales_exactly
from tests.cases.ge import CASES
from tests.harness import check_forward, check_gradients

RESNET_50 = ((256, 3, 56), (512, 4, 28), (1024, 6, 14), (2048, 3, 7))  # width, blocks, side at 224 pixels


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# Sizes.


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_theta_minus_has_no_parameters(extent):
    assert not create("ge", 64, extent=extent).state_dict()


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"variant": "theta", "extent": 2}, 25_723_176),
        ({"variant": "theta", "extent": 4}, 25_889_320),
        ({"variant": "theta", "extent": 8}, 26_055_464),
        ({"variant": "theta"}, 31_106_600),
        ({"variant": "theta+"}, 33_637_592),
    ],
    ids=str,
)
def test_resnet_50_gets_the_totals_of_the_prototxts(arguments, parameters):
    total = 25_557_032
    for channels, blocks, side in RESNET_50:
        size = {} if "extent" in arguments else {"size": side}
        with torch.device("meta"):
            total += blocks * count(create("ge", channels, **arguments, **size))
    assert total == parameters


# Theta-minus.


def test_global_theta_minus_gates_by_the_mean():
    x = torch.randn(2, 5, 9, 7, dtype=torch.float64)
    expected = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(create("ge", 5)(x), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize("side", [1, 2, 7, 8, 9, 17])
def test_windows_count_the_pixels_inside_alone_and_start_every_e_pixels(extent, side):
    gather = create("ge", 1, extent=extent).gather
    ramp = torch.arange(float(side)).view(1, 1, side, 1)
    expected = [
        sum(range(max(0, u - extent + 1), min(side, u + extent))) / (min(side, u + extent) - max(0, u - extent + 1))
        for u in range(0, side, extent)
    ]
    assert gather(ramp).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("case", [case for case in CASES if case.arguments.get("extent", 0) >= 4], ids=str)
@pytest.mark.parametrize("shape", [(3, 1, 6), (2, 2, 3)], ids=str)
def test_maps_of_a_single_window_agree_with_the_loops(case, shape):
    for training in (False, True):
        check_forward(case, shape, training)
        check_gradients(case, shape, training)


# The nearest pixel.


@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize("traced", [False, True])
def test_row_i_comes_from_row_floor_of_i_h_over_large_h(extent, traced, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: traced)
    for height in range(1, 250):
        small = -(-height // extent)
        rows = torch.arange(float(small)).view(1, 1, small, 1)
        expected = [i * small // height for i in range(height)]
        assert resize_nearest(rows, height, 1).flatten().tolist() == expected
        assert resize_nearest(rows.mT, 1, height).flatten().tolist() == expected


def test_interpolate_takes_another_row_where_it_is_said_not_to_be_exact():
    inexact = [
        (-(-side // e), side) for e in (2, 4, 8) for side in range(1, 250) if not scales_exactly(-(-side // e), side)
    ]
    assert inexact == [(50, 198), (58, 230), (16, 122)]
    for small, large in inexact:
        rows = torch.arange(float(small)).view(1, 1, small, 1)
        expected = [i * small // large for i in range(large)]
        assert F.interpolate(rows, size=(large, 1)).flatten().tolist() != expected


# The learned forms.


@pytest.mark.parametrize(("extent", "layers"), [(0, 1), (2, 1), (4, 2), (8, 3)])
def test_there_is_a_relu_between_the_units_and_none_behind_the_last(extent, layers):
    gather = create("ge", 6, extent=extent, variant="theta", size=None if extent else (9, 7)).gather
    kinds = [type(layer) for layer in gather]
    assert kinds == ([nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * layers)[:-1]
    assert all(layer.bias is None for layer in gather if isinstance(layer, nn.Conv2d))


def test_the_global_kernel_is_the_map_and_leaves_one_value():
    ge = create("ge", 6, variant="theta", size=(9, 7))
    assert ge.gather[0].weight.shape == (6, 1, 9, 7)
    assert ge.gate(torch.randn(2, 6, 9, 7)).shape == (2, 6, 1, 1)


def test_a_square_s_side_is_its_size():
    assert create("ge", 6, variant="theta", size=5).gather[0].weight.shape == (6, 1, 5, 5)


def test_theta_plus_with_the_mean_for_its_gather_is_se():
    ge, se = create("ge", 32, variant="theta+", size=5), create("se", 32)
    ge.gather = nn.AdaptiveAvgPool2d(1)
    nn.init.ones_(ge.excite[1].bias)  # no hidden unit is cut off whatever the draw
    se.reduce.load_state_dict(ge.excite[1].state_dict())
    se.expand.load_state_dict(ge.excite[3].state_dict())
    positive, x = torch.rand(2, 32, 5, 5), -torch.rand(2, 32, 5, 5)
    torch.testing.assert_close(ge(positive), se(positive))
    assert not torch.allclose(ge(x), se(x), atol=1e-3)  # the ReLU before the layers, which is released, cuts it off


def test_a_norm_keeps_95_percent_of_its_statistics():
    ge = create("ge", 6, variant="theta", extent=2)
    ge(torch.randn(4, 6, 5, 5))
    torch.testing.assert_close(ge.gather[1].running_var.mean(), torch.tensor(0.95), atol=0.05, rtol=0)
    assert ge.gather[1].momentum == 0.05


def test_network_init_is_he_for_the_gather_and_narrow_for_the_bottleneck():
    torch.manual_seed(0)
    ge = create("ge", 256, extent=4, variant="theta+")
    for parameter in ge.parameters():
        nn.init.constant_(parameter, 7)
    ge.network_init_()
    for layer in ge.gather.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
    for layer in (ge.excite[1], ge.excite[3]):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert not layer.bias.any()


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"extent": 3}, ValueError, r"extent must be one of \(0, 2, 4, 8\), where 0 is global, got 3"),
        ({"extent": 2.0}, TypeError, r"extent must be an int, got 2.0; it may be \(0, 2, 4, 8\)"),
        ({"extent": True}, TypeError, "extent must be an int, got True"),
        ({"variant": "theta++"}, ValueError, "no variant is called 'theta\\+\\+'; did you mean .*'theta\\+'"),
        ({"variant": "theta"}, ValueError, r"variant='theta' with extent=0 needs size=\(H, W\)"),
        ({"size": 7}, ValueError, "size=7 is for a kernel as large as the map alone; leave size out"),
        ({"variant": "theta", "extent": 2, "size": 7}, ValueError, "size=7 is for a kernel as large as the map alone"),
        ({"variant": "theta", "size": (7,)}, TypeError, r"size must be an int or a pair \(H, W\) of ints"),
        ({"reduction": 0}, ValueError, "reduction must be at least 1, got 0"),
        ({"reduction": 2.0}, TypeError, "reduction must be an int, got 2.0"),
        ({"variant": "theta+", "size": 7}, ValueError, "reduction=16 does not fit channels=8"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, error, says, own_errors):
    with pytest.raises(error, match=says):
        create("ge", 8, **arguments)


@pytest.mark.parametrize("training", [True, False])
def test_another_size_is_refused_before_anything_counts(training):
    ge = create("ge", 6, variant="theta", size=(9, 7)).train(training)
    with pytest.raises(ValueError, match=r"kernel of 9 x 7, .* got \(2, 6, 7, 9\); build it with size=\(7, 9\)"):
        ge(torch.randn(2, 6, 7, 9))
    assert ge.gather[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("extent", "size", "shape"),
    [(0, (9, 7), (1, 6, 9, 7)), (2, None, (1, 6, 2, 2)), (8, None, (1, 6, 8, 7)), (8, None, (0, 6, 9, 9))],
)
def test_one_gathered_value_has_no_variance_in_train_mode(extent, size, shape):
    ge = create("ge", 6, variant="theta", extent=extent, size=size)
    with pytest.raises(
        ValueError, match="gather needs 2 or more values per channel in train mode and has [01], .* use a larger batch"
    ):
        ge(torch.randn(shape))
    assert ge.gather[1].num_batches_tracked == 0
    assert ge.eval()(torch.randn(shape)).shape == shape


def test_every_gathering_norm_in_train_mode_is_asked():
    ge, one, two = create("ge", 6, variant="theta", extent=4), torch.randn(1, 6, 2, 2), torch.randn(1, 6, 3, 3)
    first, last = (layer for layer in ge.gather if isinstance(layer, nn.BatchNorm2d))
    with pytest.raises(ValueError, match="gather needs 2"):
        ge(two)
    last.eval()
    assert ge(two).isfinite().all()
    with pytest.raises(ValueError, match="gather needs 2"):
        ge(one)
    assert first.num_batches_tracked == 1
    first.eval()
    assert ge.train(False)(one).isfinite().all()
