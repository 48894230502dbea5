"""Segmentation networks: sizes against the released plan, the dilated backbone, outputs, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import Bottleneck, resnet101

from attnlib.errors import UnknownNameError
from attnlib.networks.attachment import attach
from attnlib.networks.segmentation import BLOCKS, HEADS, Segmenter, dilated_resnet, segmenter
from tests.networks.plans import named_in

NETWORKS = named_in("segmentation")

# Parameters of the heads without the 3 x 3 reduction, and of that: ocnet.yml.
CONTEXT = {"none": 0, "base_oc": 920_576, "pyramid_oc": 5_782_016, "asp_oc": 5_739_904}
REDUCTION = 9_438_720
# Parameters of torchvision's networks without their last layer, from backbones.yml: 25,557,032 and 44,549,160.
BACKBONE = {"resnet50": 25_557_032 - 2_049_000, "resnet101": 44_549_160 - 2_049_000}
# The deep stem: three convolutions and norms instead of a 7 x 7 and its norm, and 128 channels instead of 64 into the
# first block's 1 x 1 and shortcut.
DEEP = 27 * 64 + 9 * 64 * 64 + 9 * 64 * 128 + 2 * (64 + 64 + 128) - (147 * 64 + 128) + 64 * 64 + 64 * 256


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def small(head="base_oc", stem="deep", classes=5, **arguments):
    """One block a stage, so that it is quick; the channels are those of the large networks."""
    torch.manual_seed(0)
    return Segmenter(dilated_resnet((1, 1, 1, 1), stem), HEADS[head](**arguments), classes)


@pytest.mark.parametrize("stem", ["deep", "plain"])
@pytest.mark.parametrize("backbone", BLOCKS)
@pytest.mark.parametrize("head", HEADS)
def test_parameters_are_those_of_the_released_plan(head, backbone, stem):
    with torch.device("meta"):
        model = segmenter(head, backbone, stem=stem)
    auxiliary = 9 * 1024 * 512 + 512 + 2 * 512 + (512 + 1) * 19
    assert parameters(model.auxiliary) == auxiliary
    own = BACKBONE[backbone] + (DEEP if stem == "deep" else 0)
    assert parameters(model) == own + REDUCTION + CONTEXT[head] + (512 + 1) * 19 + auxiliary


def test_the_heads_with_their_reduction_have_the_published_millions():
    with torch.device("meta"):
        counts = [parameters(model.reduce) + parameters(model.context) for model in map(segmenter, CONTEXT)]
    assert [round(count / 1e6, 2) for count in counts[1:]] == [10.36, 15.22, 15.18]


def test_the_exported_networks_are_the_builder_s():
    with torch.device("meta"):
        for name, (build, side) in NETWORKS.items():
            backbone, _, head = name.partition("_")
            assert parameters(build(classes=7)) == parameters(segmenter(head, backbone, classes=7))
            assert side == 769


def test_strides_and_dilations_are_the_released_ones():
    with torch.device("meta"):
        model = segmenter()
    plan = [
        [(layer.stride[0], layer.dilation[0], layer.padding[0]) for layer in stage.modules() if is_3x3(layer)]
        for stage in (model.stem, model.layer1, model.layer2, model.layer3, model.layer4)
    ]
    assert plan == [
        [(2, 1, 1), (1, 1, 1), (1, 1, 1)],
        [(1, 1, 1)] * 3,
        [(2, 1, 1)] + [(1, 1, 1)] * 3,
        [(1, 2, 2)] * 23,
        [(1, 4, 4)] * 3,
    ]
    assert all(block.conv1.stride == block.conv3.stride == (1, 1) for block in model.modules() if is_block(block))
    assert [stage[0].downsample[0].stride for stage in (model.layer1, model.layer2, model.layer3, model.layer4)] == [
        (1, 1),
        (2, 2),
        (1, 1),
        (1, 1),
    ]


def is_3x3(layer):
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)


def is_block(layer):
    return isinstance(layer, Bottleneck)


def test_the_plain_stem_takes_torchvision_s_weights():
    with torch.device("meta"):
        shapes = {
            name: tensor.shape for name, tensor in dilated_resnet(BLOCKS["resnet101"], "plain").state_dict().items()
        }
        assert shapes == {name: tensor.shape for name, tensor in resnet101().state_dict().items()}


def test_the_released_crop_gives_a_map_of_97_pixels():
    """(769 - 1) / 8 + 1, so that 9409 positions attend to each other."""
    with torch.device("meta"):
        model, x = segmenter().eval(), torch.empty(1, 3, 769, 769)
        features = model.layer4(model.layer3(model.layer2(model.layer1(model.stem(x)))))
        assert features.shape == (1, 2048, 97, 97)
        assert model(x).shape == (1, 19, 769, 769)


@pytest.mark.parametrize("stem", ["deep", "plain"])
def test_the_side_of_the_map_is_predicted(stem):
    model = small(stem=stem)
    for side in range(1, 43):
        x = torch.empty(2, 256, *model.stem(torch.empty(2, 3, side, 1)).shape[2:])
        assert model.layer2(x).shape[2] == model._map_side(side)


@pytest.mark.parametrize("head", HEADS)
def test_every_parameter_learns_from_both_losses(head):
    model = small(head, stem="plain")
    ends = [layer.out for layer in model.modules() if hasattr(layer, "out")]
    assert len(ends) == {"none": 0, "pyramid_oc": 4}.get(head, 1)
    for end in ends:  # the contexts start behind these zeros
        nn.init.normal_(end.weight, std=0.05)
    main, auxiliary = model(torch.randn(1, 3, 41, 50))
    assert main.shape == auxiliary.shape == (1, 5, 41, 50)
    target = torch.randint(5, (1, 41, 50))
    loss = F.cross_entropy(main, target) + 0.4 * F.cross_entropy(auxiliary, target)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(parameter.grad.any() for parameter in model.parameters() if parameter.dim() > 1)


def test_in_eval_mode_it_gives_the_main_scores_alone_and_enlarges_them_with_corners_aligned():
    model = small().eval()
    x = torch.randn(1, 3, 41, 57)
    with torch.no_grad():
        scores = model(x)
        middle = model.layer3(model.layer2(model.layer1(model.stem(x))))
        small_scores = model.classifier(model.context(model.reduce(model.layer4(middle))))
    assert scores.shape == (1, 5, 41, 57) and small_scores.shape == (1, 5, 6, 8)
    torch.testing.assert_close(scores[..., ::8, ::8], small_scores)  # corners fall on corners
    model.auxiliary = None  # which evaluation never touches
    assert torch.equal(model(x), scores)


def test_the_auxiliary_scores_are_of_the_third_stage():
    model = small("none")
    model.auxiliary[1].p = model.context.p = 0.0
    x = torch.randn(2, 3, 41, 41)
    _, auxiliary = model(x)
    small_scores = model.auxiliary(model.layer3(model.layer2(model.layer1(model.stem(x)))))
    torch.testing.assert_close(auxiliary[..., ::8, ::8], small_scores)


@pytest.mark.parametrize(
    ("head", "dropout"), [("none", 0.05), ("base_oc", 0.05), ("pyramid_oc", 0.05), ("asp_oc", 0.1)]
)
def test_the_auxiliary_classifier_drops_as_much_as_the_head(head, dropout):
    with torch.device("meta"):
        assert segmenter(head, "resnet50").auxiliary[1].p == dropout


def test_heads_share_the_backbone_under_one_seed():
    def backbone(head):
        torch.manual_seed(1)
        state = segmenter(head, "resnet50").state_dict()
        return {name: tensor for name, tensor in state.items() if name.startswith(("stem", "layer"))}

    first, second = backbone("none"), backbone("base_oc")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_attention_attaches_to_the_backbone():
    model = small()
    assert [place.channels for place in attach(model, "se")] == [256, 512, 1024, 2048]
    assert model.eval()(torch.randn(1, 3, 24, 24)).shape == (1, 5, 24, 24)


# Refusals.


@pytest.mark.parametrize(
    ("head", "stem", "side", "arguments"),
    [
        ("pyramid_oc", "deep", 39, {}),
        ("pyramid_oc", "plain", 41, {}),
        ("pyramid_oc", "deep", 7, {"scales": (1, 2)}),
        ("asp_oc", "deep", 7, {}),
        ("asp_oc", "plain", 9, {}),
        ("base_oc", "deep", 15, {"scale": 3}),
    ],
)
def test_an_image_too_small_is_refused_with_the_smallest_side(head, stem, side, arguments):
    model = small(head, stem, **arguments).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, side, side + 3)).shape == (1, 5, side, side + 3)
        for shape in ((1, 3, side - 1, 64), (1, 3, 64, side - 1)):
            with pytest.raises(ValueError, match=rf"must be at least {side}, got shape \(1, 3, .*; use larger images"):
                model(torch.randn(shape))


@pytest.mark.parametrize(("head", "single"), [("base_oc", 7), ("asp_oc", 23)])
def test_one_value_per_channel_is_refused_in_train_mode_alone(head, single):
    model = small(head)
    x = torch.randn(1, 3, single - 1, single - 1)
    with pytest.raises(ValueError, match=f"2 or more values per channel .* single image must be at least {single}"):
        model(x)
    assert model(x.repeat(2, 1, 1, 1))[0].shape == (2, 5, single - 1, single - 1)
    assert model(torch.randn(1, 3, single, single))[0].shape == (1, 5, single, single)
    assert model.eval()(x).shape == (1, 5, single - 1, single - 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"head": "base"}, "no head is called 'base'; did you mean .*base_oc"),
        ({"backbone": "resnet52"}, "no backbone is called 'resnet52'; did you mean .*resnet50"),
        ({"stem": "deeep"}, "no stem is called 'deeep'; did you mean .*deep"),
    ],
)
def test_an_unknown_part_is_refused(arguments, says):
    with pytest.raises(UnknownNameError, match=says):
        segmenter(**arguments)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        segmenter(classes=0)
    with pytest.raises(ValueError, match="{'scale': 2} need a head, got head='none'; choose base_oc"):
        segmenter("none", scale=2)
    with pytest.raises(ValueError, match=r"four stages, got \(3, 4, 6\)"):
        dilated_resnet((3, 4, 6))
    with pytest.raises(ValueError, match="each of blocks must be at least 1, got 0"):
        dilated_resnet((3, 4, 6, 0))
