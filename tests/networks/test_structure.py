"""Blocks found by what a network does, and maps whose channels are not at axis 1."""

import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

from attnlib import networks
from attnlib.networks import RULES, attach, attention_modules, detach


class ConvNeXtLike(nn.Module):
    """Depthwise convolution, then norm and linear layers over the last axis."""

    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.gamma = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x):
        y = self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


class SwinLike(nn.Module):
    """A map (N, H, W, C) and two sums in one block."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.Dropout(0.1))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).flatten(1, 2).chunk(3, 2)
        x = x + self.proj(nn.functional.scaled_dot_product_attention(q, k, v).reshape(x.shape))
        return x + self.mlp(self.norm2(x))


class OneSize(nn.Module):
    """Takes images of one size alone, and gives a map whose three axes are all 8 where that is 16 x 16."""

    def __init__(self, size, last):
        super().__init__()
        self.size, self.conv, self.turn = size, nn.Conv2d(3, 8, 2, 2), ToLast() if last else nn.Dropout()

    def forward(self, x):
        if x.shape[2:] != self.size:
            raise ValueError("another size")
        return self.turn(self.conv(x))


@pytest.mark.parametrize("last", [False, True])
def test_the_channels_of_a_network_of_one_image_size_are_known_or_asked_for(last):
    (entry,) = attach(OneSize((16, 24), last), "constant", (16, 24), "turn", dry_run=True, value=0.5)
    assert (entry.channels, entry.channels_last) == (8, last)
    (entry,) = attach(OneSize((32, 32), last), "constant", 32, "turn", dry_run=True, value=0.5)
    assert (entry.channels, entry.channels_last) == (8, last)
    with pytest.raises(ValueError, match="axis 1 may be channels or rows; give image_size=.H, W. with H and W differ"):
        attach(OneSize((16, 16), last), "constant", 16, "turn", dry_run=True, value=0.5)


class PreActivation(nn.Module):
    """Has a shortcut layer only where the width changes, named as it pleases."""

    def __init__(self, width, out):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, out, 3, padding=1)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, padding=1)
        if width != out:
            self.conv_shortcut = nn.Conv2d(width, out, 1)

    def forward(self, x):
        y = torch.relu(self.bn1(x))
        shortcut = self.conv_shortcut(y) if hasattr(self, "conv_shortcut") else x
        return self.conv2(torch.relu(self.bn2(self.conv1(y)))) + shortcut


class TimeBlock(nn.Module):
    """As in diffusion models: the time step is added inside of the branch, the projection defined last."""

    def __init__(self, width, out):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, width), nn.Conv2d(width, out, 3, padding=1)
        self.emb = nn.Linear(8, out)
        self.norm2, self.conv2 = nn.GroupNorm(4, out), nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(width, out, 1) if width != out else nn.Identity()

    def forward(self, x, t):
        y = self.conv1(nn.functional.silu(self.norm1(x))) + self.emb(t)[:, :, None, None]
        return self.conv2(nn.functional.silu(self.norm2(y))) + self.skip(x)


class TimedUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.embed = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(1, 8)
        self.down, self.middle = TimeBlock(8, 16), TimeBlock(16, 16)
        self.up = TimeBlock(32, 8)
        self.head = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x, t):
        t = self.embed(t[:, None])
        first = self.down(self.stem(x), t)
        low = self.middle(nn.functional.avg_pool2d(first, 2), t)
        return self.head(self.up(torch.cat((first, nn.functional.interpolate(low, scale_factor=2)), 1), t))


class Bottleneck(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.cv1, self.cv2 = conv(width, width // 2), conv(width // 2, width)

    def forward(self, x):
        return x + self.cv2(self.cv1(x))


class C2f(nn.Module):
    def __init__(self, width, n):
        super().__init__()
        self.cv1, self.cv2 = conv(width, 2 * width), conv((2 + n) * width, width)
        self.m = nn.ModuleList(Bottleneck(width) for _ in range(n))

    def forward(self, x):
        y = list(self.cv1(x).chunk(2, 1))
        y.extend(m(y[-1]) for m in self.m)
        return self.cv2(torch.cat(y, 1))


def conv(width, out):
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.SiLU())


class ToLast(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


def stem(width=8):
    return nn.Conv2d(3, width, 4, 4)


WRITTEN = {
    "ConvNeXt": (lambda: nn.Sequential(stem(), ConvNeXtLike(8), ConvNeXtLike(8)), ["1.mlp.2", "2.mlp.2"], 8, True),
    "Swin": (lambda: nn.Sequential(stem(), ToLast(), SwinLike(8), SwinLike(8)), ["2.mlp.2", "3.mlp.2"], 8, True),
    "pre-activation": (
        lambda: nn.Sequential(stem(), PreActivation(8, 8), PreActivation(8, 16), PreActivation(16, 16)),
        ["1.conv2", "2.conv2", "3.conv2"],
        16,
        False,
    ),
    "C2f": (
        lambda: nn.Sequential(stem(), C2f(8, 2), C2f(8, 1)),
        ["1.m.0.cv2.1", "1.m.1.cv2.1", "2.m.0.cv2.1"],
        8,
        False,
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_block_gets_its_module(kind):
    build, expected, width, last = WRITTEN[kind]
    model = build().eval()
    x = torch.randn(1, 3, 16, 16)
    plain = model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached = attach(model, "constant", value=0.5)
    assert [entry.path for entry in attached] == expected
    assert attached.blocks == len(expected)
    assert attached[-1].channels == width
    assert all(entry.channels_last == last for entry in attached)
    assert not torch.allclose(model(x), plain)
    assert detach(model) == len(expected)
    assert torch.equal(model(x), plain)


@pytest.mark.parametrize("block", [ConvNeXtLike(8), PreActivation(8, 8)], ids=["ConvNeXt", "pre-activation"])
def test_a_gate_of_zero_leaves_a_written_block_its_shortcut(block):
    x = torch.randn(1, 8, 5, 6)
    attach(nn.Sequential(stem(), block), "constant", value=0.0)
    torch.testing.assert_close(block(x), x)


def test_a_map_with_its_channels_last_is_turned_for_the_module():
    torch.manual_seed(0)
    block = ConvNeXtLike(8)
    x = torch.randn(2, 8, 5, 6)
    behind = block.mlp(block.norm(block.depthwise(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    attach(model := nn.Sequential(stem(), block), "se", reduction=2)
    (module,) = attention_modules(model).values()
    assert module.channels == 8
    torch.testing.assert_close(block(x), x + block.gamma.view(-1, 1, 1) * module(behind))


def test_a_network_with_a_time_step_is_run_with_its_own_inputs():
    model, inputs = TimedUNet(), (torch.zeros(1, 3, 16, 16), torch.zeros(1))
    attached = attach(model, "se", inputs=inputs, reduction=4)
    assert [(e.path, e.channels) for e in attached] == [("down.conv2", 16), ("middle.conv2", 16), ("up.conv2", 8)]
    assert attached.blocks == 3
    assert model(*inputs).shape == (1, 3, 16, 16)


def test_a_network_that_cannot_be_run_says_so(own_errors):
    model = networks.create("sagan_discriminator_cifar")
    says = r"Discriminator cannot take an image of 224 x 224: .*missing .*'labels'; .*give image_size= or inputs="
    with pytest.warns(UserWarning, match=says):
        attach(model, "constant", value=0.5, dry_run=True)
    with pytest.raises(ValueError, match=says):
        attach(model, "constant", value=0.5, strict=True)
    assert not attention_modules(model)


class OnTokens(nn.Module):
    """A residual block of a transformer: nothing in it is a map."""

    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        return (tokens + self.mlp(tokens)).transpose(1, 2).unflatten(2, x.shape[2:])


class GatedConvBlock(nn.Module):
    """A map (N, H, W, C) whose last convolution is in the middle of the branch."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        return x + self.out(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Stage(nn.Module):
    """By its names, a residual block whose branch ends in the last block's convolution."""

    def __init__(self, width):
        super().__init__()
        self.downsample = nn.Identity()
        self.blocks = nn.Sequential(GatedConvBlock(width), GatedConvBlock(width))

    def forward(self, x):
        return self.blocks(self.downsample(x))


def test_a_name_that_leads_into_the_middle_of_a_branch_is_not_followed():
    attached = attach(nn.Sequential(stem(), ToLast(), Stage(8)), "eca", dry_run=True)
    assert [entry.path for entry in attached] == ["2.blocks.0.out", "2.blocks.1.out"]


class Contexts(nn.Module):
    """Adds up gated maps, as focal modulation does: no shortcut."""

    def __init__(self, width):
        super().__init__()
        self.gates = nn.Conv2d(width, 2, 1)
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        gates, near = self.gates(x), self.first(x)
        return near * gates[:, :1] + self.second(near) * gates[:, 1:]


class Placed(nn.Module):
    """A position that depends on the map, one convolution, is added before the block's own branch."""

    def __init__(self, width):
        super().__init__()
        self.position = Added(nn.Conv2d(width, width, 3, padding=1, groups=width))
        self.one, self.two = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        x = self.position(x)
        return x + self.two(torch.relu(self.one(x)))


class Added(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


def test_a_position_encoding_inside_a_block_is_no_block_of_its_own():
    attached = attach(nn.Sequential(stem(), Placed(8), Placed(8)), "eca", dry_run=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["1.two", "2.two"], 2)
    alone = attach(nn.Sequential(stem(), Added(nn.Conv2d(8, 8, 1))), "eca", dry_run=True)
    assert [entry.path for entry in alone] == ["1.layer"]


class Parallel(nn.Module):
    """Branches to be folded into one convolution, as in RepVGG and MobileOne."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.one = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.norm(x) + self.one(x))


def test_a_norm_beside_a_convolution_is_no_shortcut():
    with pytest.raises(ValueError, match="Sequential has no place for the module: .*; say where with placement="):
        attach(nn.Sequential(stem(), Parallel(8), Parallel(8)), "eca", dry_run=True)
    attached = attach(nn.Sequential(stem(), Added(nn.Sequential(Parallel(8), Parallel(8)))), "eca", dry_run=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["1.layer.1"], 1)


class Folded(nn.Module):
    """Two convolutions beside another, as in MobileOne: one of them is no shortcut of the others."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width, width, size, padding=size // 2) for size in (1, 3, 3))

    def forward(self, x):
        one, two, three = (layer(x) for layer in self.layers)
        return torch.relu(one + two + three)


class Cell(nn.Module):
    """Joins sums of which none follows from another, as NASNet's cells do."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width // 2, 1), nn.Conv2d(width, width // 2, 1)
        self.deep = nn.ModuleList(nn.Conv2d(width // 2, width // 2, 3, padding=1) for _ in range(2))

    def forward(self, x):
        one, two = self.one(x), self.two(x)
        return torch.cat((one + self.deep[0](one), two + self.deep[1](two)), 1)


@pytest.mark.parametrize("kind", [Folded, Cell])
def test_what_adds_without_a_shortcut_is_no_block(kind):
    model = nn.Sequential(stem(), kind(8), kind(8))
    with pytest.raises(ValueError, match="Sequential has no place for the module: .* ReLU included; say where"):
        attach(model, "eca", dry_run=True)
    attached = attach(nn.Sequential(*model, PreActivation(8, 8)), "eca", dry_run=True, strict=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["3.conv2"], 1)


class Scores(nn.Module):
    """Adds a position to its scores, as HaloNet and BoTNet do: what it gives is another map."""

    def __init__(self, width):
        super().__init__()
        self.qk, self.value, self.position = (nn.Conv2d(width, out, 1) for out in (2 * width, width, width))

    def forward(self, x):
        q, k = self.qk(x).flatten(2).chunk(2, 1)
        scores = q.mT @ k
        return (self.value(x).flatten(2) @ (scores + q.mT @ self.position(x).flatten(2)).softmax(-1)).view(x.shape)


class Summed(nn.Module):
    """Adds inside of a branch, and gives a layer of the sum."""

    def __init__(self, width):
        super().__init__()
        self.near, self.out = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        return self.out(x + self.near(x))


@pytest.mark.parametrize("inner", [Scores, Summed])
def test_a_sum_inside_a_branch_hides_no_block(inner):
    blocks = [Added(nn.Sequential(inner(8), nn.Conv2d(8, 8, 1))) for _ in range(2)]
    attached = attach(nn.Sequential(stem(), *blocks), "eca", dry_run=True, strict=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["1.layer.1", "2.layer.1"], 2)


class WithSize(nn.Module):
    """A block that gives a tuple, as those of MViT and of transformers libraries do."""

    def __init__(self, width):
        super().__init__()
        self.block = conv(width, width)

    def forward(self, x):
        return x + self.block(x), x.shape[2:]


class FromTuple(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.one, self.two = stem(), WithSize(8), PreActivation(8, 8)

    def forward(self, x):
        return self.two(self.one(self.stem(x))[0])


def test_a_block_that_gives_more_than_its_map_is_a_block():
    attached = attach(FromTuple(), "eca", dry_run=True, strict=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["one.block.1", "two.conv2"], 2)


def test_a_first_convolution_behind_rearranged_pixels_says_nothing_of_the_image():
    model = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3), ToLast(), SwinLike(8))  # as YOLOv5 and TResNet
    attached = attach(model, "eca", dry_run=True, strict=True)
    assert ([(e.path, e.channels) for e in attached], attached.blocks) == ([("3.mlp.2", 8)], 1)


class Given(nn.Module):
    """A block whose shortcut may come from elsewhere, or be as long as a branch."""

    def __init__(self, width, shortcut=None):
        super().__init__()
        self.one, self.two, self.aside = conv(width, width), conv(width, width), shortcut

    def forward(self, x, shortcut=None):
        if shortcut is None:
            shortcut = x if self.aside is None else self.aside(x)
        return torch.relu(self.two(self.one(x)) + shortcut)


class Tree(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.project, self.block = nn.Conv2d(width, width, 1), Given(width)

    def forward(self, x):
        return self.block(x, self.project(x))


def test_a_block_whose_shortcut_comes_from_elsewhere_or_is_long_has_its_place_too():
    long = Given(8, nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)))
    long.two = nn.Sequential(conv(8, 8), conv(8, 8))
    attached = attach(nn.Sequential(stem(), Given(8), Tree(8), long), "eca", dry_run=True, strict=True)
    assert ([entry.path for entry in attached], attached.blocks) == (["1.two.1", "2.block.two.1", "3.two.1.1"], 3)


def test_a_sum_of_gated_maps_is_no_block():
    with pytest.raises(ValueError, match="Sequential has no place for the module"):
        attach(nn.Sequential(stem(), Contexts(8)), "eca")


def test_blocks_without_a_map_are_counted_as_missed():
    model = nn.Sequential(stem(), PreActivation(8, 8), OnTokens(8))
    with pytest.warns(UserWarning, match="1 of 2 blocks of Sequential have a place for 'eca', not 2, where no layer"):
        attached = attach(model, "eca", dry_run=True)
    assert (attached.blocks, attached.missed) == (2, ("2",))
    with pytest.raises(ValueError, match="1 of 2 blocks"):
        attach(model, "eca", strict=True)
    with pytest.raises(ValueError, match="no place for the module: .*of its 1 blocks none gives a map"):
        attach(nn.Sequential(stem(), OnTokens(8)), "eca")
    with pytest.raises(ValueError, match=r"layer 2.mlp .* gives \(1, 3136, 8\), which are tokens or a sequence"):
        attach(model, "eca", placement="2.mlp")


@pytest.mark.parametrize(
    ("library", "name", "blocks", "widths"),
    [
        ("torchvision", "convnext_tiny", 18, {96, 192, 384, 768}),
        ("torchvision", "efficientnet_v2_s", 40, {24, 48, 64, 128, 160, 256}),
        ("torchvision", "swin_t", 12, {96, 192, 384, 768}),
        ("timm", "convnext_atto", 12, {40, 80, 160, 320}),
        ("timm", "edgenext_xx_small", 12, {24, 48, 88, 168}),
        ("timm", "mambaout_femto", 18, {48, 96, 192, 288}),
        ("timm", "swiftformer_xs", 20, {48, 56, 112, 220}),
        ("timm", "halonet26t", 8, {256, 512, 1024, 2048}),
        ("timm", "skresnet18", 8, {64, 128, 256, 512}),
        ("timm", "dla34", 12, {64, 128, 256, 512}),
        ("timm", "ghostnet_100", 16, {16, 24, 40, 80, 112, 160}),
    ],
)
def test_public_networks_have_a_place_in_every_block(library, name, blocks, widths):
    with torch.device("meta"):
        model = timm.create_model(name) if library == "timm" else torchvision.models.get_model(name, weights=None)
    attached = attach(model, "eca", dry_run=True, replace=False, strict=True)
    assert (len(attached), attached.blocks) == (blocks, blocks)
    assert {entry.channels for entry in attached} == widths


def test_a_public_network_of_tokens_is_refused_with_the_reason():
    with torch.device("meta"):
        model = timm.create_model("davit_tiny")  # its position encodings, residual convolutions, are no blocks
    with pytest.raises(ValueError, match="DaVit has no place for the module: .*of its 12 blocks none gives a map"):
        attach(model, "eca", dry_run=True)
    assert attach(model, "eca", placement="*.cpe2.proj", dry_run=True)[0].channels == 96


def test_a_network_with_gates_says_so_and_they_can_be_replaced():
    with torch.device("meta"):
        model = torchvision.models.mobilenet_v3_small()
    with pytest.warns(UserWarning, match="scales its maps already, by 9 gates such as features.1.block.1 .Squeeze"):
        attach(model, "eca", dry_run=True)
    kind = type(model.features[1].block[1])
    attached = attach(model, "eca", replace=True)
    assert [(entry.channels, entry.how) for entry in attached[:2]] == [(16, "instead"), (96, "instead")]
    assert not any(isinstance(module, kind) for module in model.modules())
    again = attach(model, "nam", replace=True)
    assert [(entry.path, entry.channels, entry.how) for entry in again] == [
        (entry.path, entry.channels, entry.how) for entry in attached
    ]
    detach(model)
    assert type(model.features[1].block[1]) is kind


@pytest.mark.parametrize("rule", ["block-end", "stage-end", "middle-stages"])
@pytest.mark.parametrize(
    "name", ["resnet20", "resnet20_a", "resnext29_2x64d", "vgg16_bn_cifar", "mobilenet_v2_cifar", "wrn16_8"]
)
def test_places_of_the_records_networks_are_those_of_their_names(name, rule):
    """What a pass shows moves no module in a network of the records, and `create` does without a pass."""
    with torch.device("meta"):
        model = networks.create(name)
    attached = attach(model, "constant", placement=rule, dry_run=True, strict=True, value=1.0)
    assert [entry.path for entry in attached] == list(RULES[rule].find(model))


# Layers under two names, and networks of other maps.


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.one = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.two = self.one

    def forward(self, x):
        return self.two(self.one(self.conv(x)))


def test_a_layer_under_two_names_has_its_module_under_both():
    model = Twice()
    before = list(model.state_dict())
    assert len(attach(model, "constant", placement="one", value=0.5)) == 1
    assert model.one is model.two
    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(model(x), model.one.layer(model.one.layer(model.conv(x)) / 2) / 2)
    assert detach(model) == 1
    assert model.one is model.two
    assert list(model.state_dict()) == before
    with pytest.raises(ValueError, match="one and two are one layer, and 'nam' has parameters for one map size"):
        attach(model, "nam", image_size=16, placement="one", spatial=True)


@pytest.mark.parametrize("placement", [None, "2.conv2"])
def test_a_network_of_sequences_is_refused_when_attention_is_attached(placement):
    block = PreActivation(8, 8)
    block.conv1, block.conv2 = nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
    block.bn1, block.bn2 = nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)
    model = nn.Sequential(nn.Conv1d(1, 8, 3), nn.ReLU(), block)
    with pytest.raises(ValueError, match="its convolutions are Conv1d, .* follows layers that give a map"):
        attach(model, "se", placement=placement)
