"""Each count against a closed formula and against torch's own counter, and what must be refused or left alone."""

import json
import logging
import re
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import swin_transformer
from torchvision.ops import nms

from attnlib import networks
from attnlib.profiling.cost import Cost, UnknownOperatorError, profile, register
from attnlib.profiling.trace import count_operations
from tests.profiling.flops import flop_counter_macs


class Function(nn.Module):
    """A function of one map as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def torch_macs(model, channels, height, width):
    return flop_counter_macs(model, torch.zeros(1, channels, height, width))


@pytest.mark.parametrize(
    ("convolution", "macs"),
    [
        (nn.Conv2d(6, 8, 3, padding=1), 9 * 11 * 8 * 6 * 9),
        (nn.Conv2d(6, 8, 3, padding=1, groups=2), 9 * 11 * 8 * 3 * 9),
        (nn.Conv2d(6, 6, (1, 5), padding=(0, 2), groups=6, bias=False), 9 * 11 * 6 * 5),
        (nn.Conv2d(6, 8, 3, dilation=2), 5 * 7 * 8 * 6 * 9),
        (nn.Conv2d(6, 8, 3, stride=2), 4 * 5 * 8 * 6 * 9),
        (nn.Conv2d(6, 8, 3, padding="same"), 9 * 11 * 8 * 6 * 9),
        (nn.ConvTranspose2d(6, 8, 2, stride=2), 9 * 11 * 6 * 8 * 4),
        (nn.ConvTranspose2d(6, 8, 3, stride=2, groups=2), 9 * 11 * 6 * 4 * 9),
    ],
    ids=str,
)
def test_convolution(convolution, macs):
    cost = profile(convolution, (9, 11), in_channels=6)
    assert cost.macs == macs == torch_macs(convolution, 6, 9, 11)
    assert cost.macs_by_operator == {"convolution": macs}
    assert cost.elementwise == 0, "adding the bias is part of the convolution"
    assert cost.activations == convolution(torch.zeros(1, 6, 9, 11)).numel()


def test_linear_counts_every_row_and_no_bias():
    for bias in (True, False):
        linear = nn.Linear(11, 7, bias=bias)
        cost = profile(linear, (9, 11), in_channels=6)
        assert cost.macs_by_operator == {"linear": 6 * 9 * 11 * 7}
        assert cost.macs == torch_macs(linear, 6, 9, 11)
        assert cost.activations == 6 * 9 * 7


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda x: x @ x.new_ones(11, 4), 6 * 9 * 11 * 4),
        (lambda x: x @ x.new_ones(5, 1, 11, 4), 5 * 6 * 9 * 11 * 4),  # broadcast over five batches
        (lambda x: x.new_ones(9) @ x, 6 * 9 * 11),
        (lambda x: torch.bmm(x[0], x.new_ones(6, 11, 4)), 6 * 9 * 11 * 4),
        (lambda x: torch.mm(x[0, 0], x.new_ones(11, 4)), 9 * 11 * 4),
        (lambda x: torch.addmm(x.new_ones(4), x[0, 0], x.new_ones(11, 4)), 9 * 11 * 4),
        (lambda x: torch.baddbmm(x.new_ones(6, 9, 4), x[0], x.new_ones(6, 11, 4)), 6 * 9 * 11 * 4),
        (lambda x: torch.einsum("nchw, nkhw -> nck", x, x), 6 * 6 * 9 * 11),
        (lambda x: torch.einsum("nchw,wk", x, x.new_ones(11, 4)), 6 * 9 * 11 * 4),
        (lambda x: torch.einsum("...hw,wk->...hk", x, x.new_ones(11, 4)), 6 * 9 * 11 * 4),
        (lambda x: torch.einsum("nchw,c...->nhw...", x, x.new_ones(6, 2, 3)), 9 * 11 * 6 * 2 * 3),
        (lambda x: torch.einsum("nchw,ck->nk", x, x.new_ones(6, 4)), 6 * 4),  # h and w are summed first: no products
    ],
)
def test_matrix_product(function, macs):
    cost = profile(Function(function), (9, 11), in_channels=6)
    assert cost.macs == macs == torch_macs(Function(function), 6, 9, 11)
    assert cost.activations == function(torch.zeros(1, 6, 9, 11)).numel()


def test_products_with_a_vector():
    # torch's counter leaves these out
    assert profile(Function(lambda x: x @ x.new_ones(11)), (9, 11), in_channels=6).macs == 6 * 9 * 11
    assert profile(Function(lambda x: torch.mv(x[0, 0], x.new_ones(11))), (9, 11), in_channels=6).macs == 9 * 11
    assert profile(Function(lambda x: torch.dot(x[0, 0, 0], x.new_ones(11))), (9, 11), in_channels=6).macs == 11


class Rows(nn.Module):
    """A recurrent network over the rows of a map's first channel."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layers = kind(11, 5, batch_first=True, **options)

    def forward(self, x):
        return self.layers(x[:, 0])[0]


@pytest.mark.parametrize(
    ("kind", "gates", "options", "inputs"),
    [
        (nn.LSTM, 4, {}, 11),
        (nn.GRU, 3, {"bias": False}, 11),
        (nn.RNN, 1, {"bidirectional": True}, 2 * 11 + 5),  # 5 (11 + 5) in each direction
        (nn.LSTM, 4, {"num_layers": 2}, 11 + 5 + 5),
    ],
)
def test_recurrent_layers_take_each_weight_at_every_step(kind, gates, options, inputs):
    with torch.backends.mkldnn.flags(enabled=False):  # whose LSTM torch's counter does not see into
        model = Rows(kind, **options)
        assert profile(model, (9, 11), strict=True).macs == 9 * gates * 5 * (inputs + 5) == torch_macs(model, 3, 9, 11)


def test_products_of_named_axes():
    function = Function(lambda x: torch.tensordot(x, x.new_ones(6, 11, 4), ([1, 3], [0, 1])))
    assert profile(function, (9, 11), 6, strict=True).macs == 9 * 4 * 6 * 11 == torch_macs(function, 6, 9, 11)
    assert profile(Function(lambda x: torch.inner(x, x.new_ones(4, 11))), (9, 11), 6).macs == 6 * 9 * 11 * 4


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.nonzero(x + 1).float(),
        lambda x: nms(x[0, 0, :, :4] + 1, x[0, 0, :, 0], 0.5).float(),
    ],
    ids=["nonzero", "nms"],
)
@pytest.mark.filterwarnings("ignore:no rule for operator")
def test_what_depends_on_values_does_not_end_a_profile(function):
    cost = profile(nn.Sequential(nn.Conv2d(3, 4, 1), Function(function)), (8, 12))
    assert cost.macs == 12 * 8 * 12
    assert cost.peak_memory_bytes >= (3 + 4) * 8 * 12 * 4


def test_einsum_without_contraction_is_arithmetic():
    for equation in ("nchw,nc->nchw", "nchw,nkhw->nckhw"):
        shape = (1, 6) if equation == "nchw,nc->nchw" else (1, 4, 9, 11)
        cost = profile(Function(lambda x, e=equation, s=shape: torch.einsum(e, x, x.new_ones(s))), (9, 11), 6)
        assert cost.macs == 0
        assert cost.elementwise == 6 * 9 * 11 * (4 if len(shape) == 4 else 1)


def test_einsum_whose_cost_is_not_clear_is_refused():
    three = Function(lambda x: torch.einsum("nchw,ck,kl->nlhw", x, x.new_ones(6, 2), x.new_ones(2, 3)))
    with pytest.raises(UnknownOperatorError, match="einsum of 3 tensors"):
        profile(three, (9, 11), in_channels=6, strict=True)
    summed = Function(lambda x: torch.einsum("...hw,wk->hk", x, x.new_ones(11, 4)))
    with pytest.raises(UnknownOperatorError, match="sums over its ellipsis"):
        profile(summed, (9, 11), in_channels=6, strict=True)


def attention(x):
    q = x.flatten(2).transpose(1, 2).unsqueeze(1)  # (1, 1, 99, 6)
    return F.scaled_dot_product_attention(q, q[:, :, :50], q[:, :, :50, :4])


def attention_written_out(x):
    q = x.flatten(2).transpose(1, 2).unsqueeze(1)
    return (q @ q[:, :, :50].transpose(2, 3)).softmax(-1) @ q[:, :, :50, :4]


def test_attention_costs_what_its_written_form_costs():
    fused, written = (profile(Function(f), (9, 11), in_channels=6) for f in (attention, attention_written_out))
    assert fused.macs == written.macs == 99 * 50 * (6 + 4) == torch_macs(Function(attention), 6, 9, 11)
    assert fused.macs_by_operator.keys() == {"attention"}
    assert fused.elementwise_by_operator == written.elementwise_by_operator == {"softmax": 99 * 50}
    assert (fused.activations, written.activations) == (99 * 4, 99 * 4 + 99 * 50), "fused scores are never written"


def test_mask_is_added_to_every_score():
    def masked(x):
        q = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q, q, attn_mask=x.new_zeros(99, 99))

    cost = profile(Function(masked), (9, 11), in_channels=6)
    assert cost.elementwise_by_operator == {"softmax": 99 * 99, "add": 99 * 99}


class HeadsOverPixels(nn.Module):
    """Multi-head attention over the pixels of a map, frozen as in inference: torch then takes its fast path."""

    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True).requires_grad_(False)

    def forward(self, x):
        pixels = x.flatten(2).transpose(1, 2)
        return self.heads(pixels, pixels, pixels, need_weights=False)[0]


def test_frozen_multi_head_attention_is_counted():
    model = HeadsOverPixels().eval()
    cost = profile(model, (9, 11), in_channels=8)
    assert cost.macs_by_operator == {"linear": 99 * 8 * 8 * 4, "attention": 2 * 99 * 99 * (4 + 4)}
    assert cost.macs == torch_macs(model, 8, 9, 11)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    ("name", "image_size", "macs"),
    [
        # known in millions from independent counts of these networks: 40.813, 40.551, 555.4, 1,814
        ("resnet20", 32, 40_813_184),
        ("resnet20_a", 32, 40_551_040),
        ("resnet18_cifar", 32, 555_422_720),
        ("resnet18", 224, 1_813_566_464),
    ],
)
def test_network(name, image_size, macs):
    from fvcore.nn import ActivationCountAnalysis

    model = networks.create(name, 10)
    cost = profile(model, image_size)
    assert cost.macs == macs == torch_macs(model, 3, image_size, image_size)
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    activations = ActivationCountAnalysis(model.eval(), torch.zeros(1, 3, image_size, image_size))
    assert cost.activations == activations.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def elementwise_work(function, *size):
    counts = count_operations(Function(function), torch.zeros(1, *size))
    assert not counts["macs"] and not counts["activations"]
    return sum(counts["elementwise"].values())


SIDE = st.integers(1, 9)


@settings(max_examples=10)
@given(SIDE, SIDE, SIDE)
def test_pooling_costs_the_same_in_every_spelling(channels, height, width):
    spellings = [
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((-1, -2), keepdim=True),
        lambda x: x.sum((2, 3)),
        lambda x: x.amax((2, 3)),
        lambda x: x.flatten(2).mean(-1),
        lambda x: x.permute(0, 2, 3, 1).flatten(1, 2).mean(1),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.adaptive_avg_pool1d(x.flatten(2), 1),
        lambda x: F.adaptive_max_pool2d(x, 1),
        lambda x: F.avg_pool2d(x, (height, width)),
        lambda x: F.max_pool2d(x, (height, width)),
        nn.AdaptiveAvgPool2d(1),
    ]
    assert {elementwise_work(f, channels, height, width) for f in spellings} == {channels * height * width}


@settings(max_examples=10)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 9), SIDE)
def test_norms_cost_the_same_in_every_spelling(groups, width_of_a_group, height, width):
    channels = groups * width_of_a_group
    size = (channels, height, width)
    spellings = [
        lambda x: F.batch_norm(x, x.new_zeros(channels), x.new_ones(channels)),
        lambda x: F.batch_norm(x.flatten(2), x.new_zeros(channels), x.new_ones(channels), x.new_ones(channels)),
        nn.BatchNorm2d(channels),
        nn.BatchNorm2d(channels, affine=False),
        nn.BatchNorm2d(channels, track_running_stats=False),
        lambda x: F.group_norm(x, groups),
        nn.GroupNorm(groups, channels),
        nn.GroupNorm(groups, channels, affine=False),
        F.instance_norm,
        nn.InstanceNorm2d(channels, affine=True),
        lambda x: F.layer_norm(x, size),
        nn.LayerNorm(size),
        lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (channels,)),
        lambda x: F.rms_norm(x, size),
    ]
    assert {elementwise_work(f, *size) for f in spellings} == {channels * height * width}


def test_elementwise_counts_the_largest_tensor_once():
    def steps(x):
        x = F.batch_norm(x, x.new_zeros(6), x.new_ones(6))  # 594
        x = x * x.mean((2, 3), keepdim=True)  # mean 594, mul 594
        x = torch.relu_(x + 1)  # add 594, relu 594
        return F.interpolate(x, scale_factor=2.0)  # 4 * 594

    cost = profile(Function(steps), (9, 11), in_channels=6)
    work = {"batch_norm": 594, "mean": 594, "mul": 594, "add": 594, "relu": 594, "upsample_nearest2d": 2376}
    assert cost.elementwise_by_operator == work
    assert cost.macs == 0


def test_what_only_moves_values_counts_nothing():
    def moves(x):
        n, c, h, w = x.shape
        x = x.view(n * 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)  # arithmetic on sizes is none on maps
        x = torch.cat([*x.chunk(2, 1), x.flip(1), x.roll(1, 2)], 1).permute(0, 2, 3, 1).contiguous()
        x = F.pad(x, (1, 1))[:, ::2].unsqueeze(1).expand(-1, 2, -1, -1, -1).flatten(1, 2).clone()
        return F.dropout(F.unfold(x.detach(), 2), 0.5, training=False).to(torch.float64)

    cost = profile(Function(moves), (9, 11), in_channels=6)
    assert (cost.macs, cost.elementwise, cost.activations) == (0, 0, 0)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


@pytest.mark.parametrize(
    ("function", "name"),
    [(torch.fft.fft2, "aten::fft_fft2"), (Doubled.apply, r"prim::PythonOp \(Doubled\)")],
)
def test_unknown_operator_is_named_with_its_module(function, name):
    inner = nn.Sequential(nn.ReLU(), Function(function))
    with pytest.raises(UnknownOperatorError, match=rf"{name} in 1\.1;"):
        profile(nn.Sequential(nn.ReLU(), inner), 8, strict=True)
    with pytest.raises(UnknownOperatorError, match="the network's own forward"):
        profile(Function(function), 8, strict=True)
    with pytest.warns(UserWarning, match=rf"{name} in 1;.*the figures are without it"):
        cost = profile(nn.Sequential(nn.ReLU(), Function(function)), 8)
    (words,) = cost.unknown
    assert re.fullmatch(rf"{name} in 1", words)
    assert cost.unknown[words] == 1
    assert cost.elementwise_by_operator == {"relu": 3 * 64}
    assert "unknown" in set(cost.table().quantity)


@pytest.fixture
def no_rules_left(monkeypatch):
    monkeypatch.setattr("attnlib.profiling.operators._REGISTERED", {})


@pytest.mark.parametrize(
    ("function", "name"), [(torch.fft.fft2, "fft_fft2"), (torch.fft.fft2, "aten::fft_fft2"), (Doubled.apply, "Doubled")]
)
def test_an_operator_can_be_given_a_rule(function, name, no_rules_left):
    model = nn.Sequential(nn.ReLU(), Function(function))
    register(name, "elementwise")
    assert sum(profile(model, 8, strict=True).elementwise_by_operator.values()) == 2 * 3 * 64
    register(name, "nothing")
    assert profile(model, 8, strict=True).elementwise == 3 * 64
    register(name, lambda inputs, outputs: 5 * inputs[0][-1] + len(outputs))
    cost = profile(model, 8, strict=True)
    assert (cost.macs, cost.activations) == (5 * 8 + 1, 3 * 64)


@pytest.mark.parametrize(
    ("operator", "rule", "error", "says"),
    [
        ("mine", "free", TypeError, "rule must be 'elementwise', 'nothing' or a function"),
        ("aten::relu_", "nothing", ValueError, "'aten::relu_' has a rule already"),
    ],
)
def test_a_rule_that_is_none_is_refused(operator, rule, error, says, no_rules_left):
    with pytest.raises(error, match=says):
        register(operator, rule)


class Held(nn.Module):
    """Tensors that are neither parameters nor buffers."""

    def __init__(self):
        super().__init__()
        self.scale, self.made = torch.ones(3, 1, 1), (2 * nn.Parameter(torch.ones(3, 1, 1)))

    def forward(self, x):
        return x * self.scale + self.made


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, batch, mask=None):
        y = self.conv(batch["image"])
        return {"map": y if mask is None else y * mask, "aux": None, "sides": (y.shape[2], 3)}


@pytest.mark.parametrize(
    ("model", "macs"),
    [
        (Function(lambda x: x * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)), 0),
        (Function(lambda x: x + torch.arange(12.0)), 0),
        (Function(lambda x: (x, None)), 0),
        (Held(), 0),
        (torch.compile(nn.Conv2d(3, 4, 1)), 12 * 8 * 12),
        (nn.Sequential(torch.compile(nn.Conv2d(3, 4, 1)), nn.ReLU()), 12 * 8 * 12),
        (nn.DataParallel(nn.Conv2d(3, 4, 1)), 12 * 8 * 12),
        (torch.optim.swa_utils.AveragedModel(nn.Conv2d(3, 4, 1)), 12 * 8 * 12),
    ],
    ids=["tensor", "arange", "None", "attribute", "compiled", "part compiled", "parallel", "averaged"],
)
def test_what_networks_do_beside_layers_is_no_obstacle(model, macs):
    cost = profile(model, (8, 12))
    assert cost.macs == macs
    assert cost.peak_memory_bytes >= 3 * 8 * 12 * 4


@pytest.mark.parametrize(
    "inputs",
    [
        ({"image": torch.zeros(1, 3, 8, 12)},),
        {"batch": {"image": torch.zeros(1, 3, 8, 12)}},
        {"batch": {"image": torch.zeros(1, 3, 8, 12)}, "mask": None},
        ({"image": torch.zeros(1, 3, 8, 12)}, torch.ones(1, 1, 8, 12)),
    ],
)
def test_inputs_and_outputs_may_be_nested(inputs):
    model = Named()
    assert profile(model, inputs=inputs).macs == 12 * 8 * 12
    with torch.device("meta"):
        model.conv = nn.Conv2d(3, 4, 1)
    assert profile(model, inputs=inputs).macs == 12 * 8 * 12


def test_a_scripted_network_is_refused():
    scripted = torch.jit.script(nn.Conv2d(3, 4, 1))
    for model, part in ((scripted, "it"), (nn.Sequential(nn.ReLU(), scripted), "its part 1")):
        with pytest.raises(TypeError, match=f"{part} is scripted, so that its operators cannot be seen"):
            profile(model, 8)


def test_shifted_windows_are_counted_whole():
    with torch.device("meta"):
        block = swin_transformer.SwinTransformerBlock(32, 2, [4, 4], [2, 2])
    cost = profile(block, inputs=(torch.zeros(1, 8, 8, 32),), strict=True)
    positions = 64  # projections, two products in windows of 16, a network of four times the width
    assert cost.macs == positions * (4 * 32 * 32 + 2 * 16 * 32 + 8 * 32 * 32)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated")
def test_scripted_control_flow_is_refused():
    def repeat(x: torch.Tensor, times: int) -> torch.Tensor:
        for _ in range(times):
            x = torch.mm(x, x)
        return x

    scripted = torch.jit.script(repeat)
    with pytest.raises(UnknownOperatorError, match="prim::"):
        profile(Function(lambda x: scripted(x[0, 0], x.shape[1])), 8, strict=True)


def everything(model):
    """All of a model that profiling could change."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "state": {name: (id(t), t._version, t.clone()) for name, t in model.state_dict(keep_vars=True).items()},
        "grads": [p.grad for p in model.parameters()],
        "trainable": [p.requires_grad for p in model.parameters()],
    }


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    last = Function(torch.fft.fft2) if fails else nn.Dropout()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), last)
    model[0].weight.requires_grad_(False)
    model[1].eval()  # one module in another mode than its network
    before = everything(model)
    if fails:
        with pytest.raises(UnknownOperatorError):
            profile(model, 8, strict=True)
    else:
        profile(model, 8)
    after = everything(model)
    for name, (identity, version, values) in before.pop("state").items():
        assert (identity, version) == after["state"][name][:2], name
        assert torch.equal(values, after["state"][name][2]), name
    del after["state"]
    assert before == after


def test_profiling_is_silent(capfd, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        profile(networks.create("resnet8", attention="sa"), 32)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_shared_parameter_counts_once():
    convolution = nn.Conv2d(3, 3, 1)
    cost = profile(nn.Sequential(convolution, convolution), 8)
    assert cost.parameters == 3 * 3 + 3
    assert cost.macs == 2 * 64 * 9


@pytest.mark.parametrize(
    ("attention", "parameters", "macs"),
    [("se", 7 * 2 * 64 * 4 + 7 * 68, 7 * 2 * 64 * 4), ("nam", 7 * 2 * 64, 0), ("constant", 0, 0)],
)
def test_what_a_module_adds(attention, parameters, macs):
    from torchvision.models import resnet18

    from attnlib.networks import attach

    plain = resnet18()
    plain.layer1 = nn.Sequential(*(type(plain.layer1[0])(64, 64) for _ in range(7)))
    del plain.layer2, plain.layer3, plain.layer4
    model = nn.Sequential(plain.conv1, plain.layer1)
    baseline = profile(model, 32)
    attach(model, attention, **({"reduction": 16} if attention == "se" else {}))
    added = profile(model, 32) - baseline
    assert (added.parameters, added.macs) == (parameters, macs)
    # every module multiplies the map by its gate
    assert added.elementwise_by_operator["mul"] >= 7 * 64 * 16 * 16
    assert "relu" not in added.elementwise_by_operator or attention == "se"


def test_a_difference_has_no_operator_without_one():
    cost = Cost(10, {"linear": 4}, {"relu": 2}, 3, 100)
    assert cost - cost == Cost(0, {}, {}, 0, 0)


def test_table_and_json_say_the_same():
    cost = profile(networks.create("resnet8"), 32)
    values = json.loads(json.dumps(cost.as_dict()))
    assert {"parameters", "macs", "macs_by_operator", "activations", "peak_memory_bytes"} <= values.keys()
    table = cost.table()
    assert list(table.columns) == ["quantity", "operator", "value"]
    totals = table[table.operator == "all"].set_index("quantity").value
    for quantity in ("macs", "elementwise"):
        parts = table[(table.quantity == quantity) & (table.operator != "all")].value
        assert totals[quantity] == parts.sum() == values[quantity]


@pytest.mark.usefixtures("own_errors")
def test_bad_arguments():
    with pytest.raises(TypeError, match="nn.Module, got str"):
        profile("resnet50")
    for size, error in ((0, ValueError), ((8, 0), ValueError), ((8,), TypeError), (8.0, TypeError)):
        with pytest.raises(error, match=rf"image_size must .*got {re.escape(repr(size))}"):
            profile(nn.ReLU(), size)
    with pytest.raises(ValueError, match="in_channels must be at least 1, got -1"):
        profile(nn.ReLU(), 8, -1)
