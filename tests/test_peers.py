"""Parameters of timm's and torchvision's modules in ours: the same output, and a refusal where the form is another."""

from collections import OrderedDict

import pytest
import torch
from timm.layers import EcaModule, EffectiveSEModule, GatherExcite, NonLocalAttn, SEModule
from timm.layers.cbam import CbamModule, LightCbamModule
from timm.layers.eca import CecaModule
from timm.layers.mlp import ConvMlp
from timm.layers.non_local_attn import BatNonLocalAttn
from torch import nn
from torchvision.ops import SqueezeExcitation

from attnlib import create
from attnlib.peers import load_peer


def learned_ge(channels, extent, activation=nn.ReLU, norm=nn.BatchNorm2d):
    """GatherExcite with parameters as timm lays it out; 1.0.31 fails to construct it."""
    peer, layers = GatherExcite(channels, extent=extent, use_mlp=False), OrderedDict()
    for i in range(1, extent.bit_length()):
        layers[f"conv{i}"] = nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
        if norm is not None:
            layers[f"norm{i}"] = norm(channels)
        if 2**i < extent:
            layers[f"act{i}"] = activation()
    peer.gather = nn.Sequential(layers)
    return peer


def se_like_ge(channels, hidden, extent=0):
    """GatherExcite with its MLP, timm's default, which 1.0.31 fails to construct."""
    peer = GatherExcite(channels, extent=extent, use_mlp=False)
    peer.mlp = ConvMlp(channels, hidden)
    return peer


def set_eps(module, eps):
    """Of all batch norms."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = eps


def drawn(module):
    """Parameters and running statistics at random, partly negative; variances positive."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
            if name.endswith("running_var"):
                tensor.abs_().add_(0.1)
    return module.double()


PAIRS = {
    **{f"torchvision-se-{c}-{h}": (("se", c, {"reduction": c // h}), lambda c=c, h=h: SqueezeExcitation(c, h))
       for c, h in ((30, 6), (64, 8), (20, 20))},
    "torchvision-se-tanh": (("se", 24, {"reduction": 4, "activation": "tanh"}),
                            lambda: SqueezeExcitation(24, 6, scale_activation=nn.Tanh)),
    **{f"timm-se-{c}": (("se", c, {"reduction": c // 8}), lambda c=c: SEModule(c)) for c in (40, 64, 96)},
    "timm-se-256": (("se", 256, {}), lambda: SEModule(256)),
    "timm-se-no-bias": (("se", 33, {"bias": False}), lambda: SEModule(33, rd_channels=2, bias=False)),
    "timm-ge-mlp": (("se", 20, {"reduction": 5}), lambda: se_like_ge(20, 4)),
    **{f"timm-eca-{c}": (("eca", c, {}), lambda c=c: EcaModule(c)) for c in (48, 64, 256, 2048)},
    "timm-eca-kernel": (("eca", 10, {"kernel_size": 7}), lambda: EcaModule(kernel_size=7)),
    "timm-cbam-64": (("cbam", 64, {"bias": False}), lambda: CbamModule(64)),
    "timm-cbam-30": (("cbam", 30, {"bias": False, "reduction": 5, "kernel_size": 3}),
                     lambda: CbamModule(30, rd_channels=6, spatial_kernel_size=3)),
    "timm-cbam-bias": (("cbam", 64, {}), lambda: CbamModule(64, mlp_bias=True)),
    **{f"timm-ge-{e}": (("ge", 6, {"extent": e}), lambda e=e: GatherExcite(6, extent=e, use_mlp=False))
       for e in (0, 2, 4, 8)},
    **{f"timm-ge-learned-{e}": (("ge", 6, {"extent": e, "variant": "theta"}), lambda e=e: learned_ge(6, e))
       for e in (2, 4, 8)},
    **{f"timm-non-local-{c}-{s}": (("non_local", c, {"reduction": r, "scale": s}), lambda c=c: NonLocalAttn(c))
       for c, r in ((64, 8), (96, 6)) for s in (True, False)},
    "timm-non-local-unscaled": (("non_local", 24, {"reduction": 3}),
                                lambda: NonLocalAttn(24, rd_channels=8, use_scale=False)),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS)
def test_a_module_with_a_peer_s_parameters_gives_its_output(ours, theirs, training):
    key, channels, arguments = ours
    peer, module = drawn(theirs()).train(training), create(key, channels, **arguments).double().train(training)
    load_peer(module, peer)
    x = torch.randn(3, channels, 11, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(module(x), peer(x), atol=1e-12, rtol=1e-12)


def test_parameters_are_copied_not_shared():
    peer, module = SEModule(256), create("se", 256)
    load_peer(module, peer)
    before = module.reduce.weight.clone()
    nn.init.zeros_(peer.fc1.weight)
    assert torch.equal(module.reduce.weight, before)


# Refusals.


@pytest.mark.parametrize(
    ("key", "arguments", "peer", "says"),
    [
        ("se", {}, SEModule(64), "SE has 4 hidden units where the peer has 8; build it with reduction=8"),
        ("se", {}, SqueezeExcitation(64, 24), "4 hidden units .* 24; no reduction of 64 channels leaves 24"),
        ("se", {}, SEModule(64, rd_channels=4, bias=False), "bias=True where the peer has False; .*bias=False"),
        ("se", {"squeeze": "max"}, SEModule(64, rd_channels=4), "squeeze='max' where the peer has 'avg'"),
        ("se", {"activation": "relu"}, SEModule(64, rd_channels=4), "activation='relu' where .* activation='sigmoid'"),
        ("se", {}, SEModule(32), "channels=64 where the peer has 32"),
        ("eca", {"kernel_size": 5}, EcaModule(64), "kernel_size=5 where the peer has 3; build it with kernel_size=3"),
        ("eca", {"shared": False}, EcaModule(64), "shared=False where the peer has True"),
        ("cbam", {}, CbamModule(64), "bias=True where the peer has False; build it with bias=False"),
        ("cbam", {"bias": False, "reduction": 8}, CbamModule(64), "8 hidden units .* 4; build it with reduction=16"),
        ("cbam", {"bias": False, "spatial": False}, CbamModule(64), "channel=True and spatial=True"),
        ("cbam", {"bias": False, "order": "parallel"}, CbamModule(64), "order='channel-first'"),
        ("cbam", {"bias": False, "channel_pools": ("max",)}, CbamModule(64), r"channel_pools=\('avg', 'max'\)"),
        ("ge", {}, GatherExcite(64, extent=2, use_mlp=False), "extent=0 where the peer has 2"),
        ("ge", {"extent": 2}, learned_ge(64, 2), "variant='theta-' where the peer has 'theta'"),
        ("non_local", {}, NonLocalAttn(64), "32 hidden units where the peer has 8; build it with reduction=8"),
        ("non_local", {"pairwise": "dot"}, NonLocalAttn(64), "pairwise='dot' where the peer has 'embedded'"),
        ("non_local", {"norm": False}, NonLocalAttn(64), "norm=False where the peer has True"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_those_that_do(key, arguments, peer, says):
    module = create(key, 64, **arguments)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ValueError, match=says):
        load_peer(module, peer)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    ("key", "peer", "says"),
    [
        ("eca", SEModule(64), "this SEModule loads into SE, got ECA"),
        ("ge", se_like_ge(64, 4), "this GatherExcite loads into SE, got GE"),
        ("se", SEModule(64, rd_channels=4, add_maxpool=True), "a maximum beside the mean"),
        ("se", SEModule(64, rd_channels=4, norm_layer=nn.BatchNorm2d), "this SEModule has a norm"),
        ("se", SEModule(64, rd_channels=4, act_layer=nn.SiLU), "another activation than ReLU"),
        ("se", SqueezeExcitation(64, 4, scale_activation=nn.Hardsigmoid), "another gate than sigmoid or tanh or relu"),
        ("eca", EcaModule(64, use_mlp=True), "a second layer"),
        ("cbam", CbamModule(64, act_layer=nn.SiLU), "another activation than ReLU"),
        ("ge", se_like_ge(64, 4, extent=2), "an MLP on local means"),
        ("eca", CecaModule(64), "CecaModule closes the channels to a ring.*: no module here has this form"),
        ("se", EffectiveSEModule(64), "one layer and a hard sigmoid"),
        ("cbam", LightCbamModule(64), "adds mean and maximum before its layers"),
        ("non_local", BatNonLocalAttn(64), "BatNonLocalAttn transforms rows and columns"),
        ("se", nn.Linear(64, 64), "form of torch.nn.modules.linear.Linear; known: torchvision.ops.misc.SqueezeExc"),
    ],
)
def test_a_peer_of_another_form_is_refused_with_the_difference(key, peer, says):
    with pytest.raises(TypeError, match=says):
        load_peer(create(key, 64), peer)


def test_timm_s_learned_global_form_pads_and_is_refused():
    peer = learned_ge(64, 2)
    peer.extent = 0
    with pytest.raises(TypeError, match="a padded kernel as large as the map"):
        load_peer(create("ge", 64, variant="theta", size=7), peer)


@pytest.mark.parametrize(
    ("extent", "parts", "says"),
    [
        (4, {"activation": nn.SiLU}, "another activation than ReLU between its convolutions"),
        (4, {"norm": None}, "no batch norm behind each convolution"),
        (2, {"norm": None}, "no batch norm behind each convolution"),
        (2, {"norm": nn.InstanceNorm2d}, "no batch norm behind each convolution"),
    ],
)
def test_timm_s_other_gathers_are_refused(extent, parts, says):
    with pytest.raises(TypeError, match=f"this GatherExcite has {says}"):
        load_peer(create("ge", 6, extent=extent, variant="theta"), learned_ge(6, extent, **parts))


@pytest.mark.parametrize(
    ("key", "arguments", "peer"),
    [
        ("ge", {"extent": 4, "variant": "theta"}, learned_ge(64, 4)),
        ("cbam", {"bias": False}, CbamModule(64)),
        ("non_local", {"reduction": 8}, NonLocalAttn(64)),
    ],
)
def test_norms_with_another_eps_are_refused_until_ours_have_it(key, arguments, peer):
    module = create(key, 64, **arguments)
    set_eps(peer, 0.25)
    with pytest.raises(ValueError, match="has eps=1e-05 where the peer's has 0.25; set eps = 0.25 on each"):
        load_peer(module, peer)
    set_eps(module, 0.25)
    peer, module = drawn(peer).eval(), module.double().eval()
    load_peer(module, peer)
    x = torch.randn(2, 64, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(module(x), peer(x), atol=1e-12, rtol=1e-12)


def test_timm_s_theta_plus_lacks_a_relu_and_is_refused():
    peer = learned_ge(64, 2)
    peer.mlp = ConvMlp(64, 4)
    with pytest.raises(TypeError, match="an MLP without a ReLU before it"):
        load_peer(create("ge", 64, extent=2, variant="theta+"), peer)
