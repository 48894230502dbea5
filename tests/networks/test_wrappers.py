"""What stands for a layer passes for it: attributes, checkpoints of the plain network, and torch's own tools."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models.feature_extraction import create_feature_extractor

from attnlib import networks
from attnlib.base import Attention
from attnlib.networks import attach, attention_modules, detach
from attnlib.networks.wrappers import WithAttention
from attnlib.scale_attention.constant import Constant


def build(seed):
    torch.manual_seed(seed)
    model = networks.create("resnet8")
    model(torch.randn(4, 3, 16, 16))  # moves the statistics
    return model.eval()


def image():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def loaded(name, **arguments):
    """A network with attention that reads another's plain checkpoint, and what it then misses and does not expect."""
    source, target = build(1), build(2)
    attach(target, name, **arguments)
    return source, target, target.load_state_dict(source.state_dict(), strict=False)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("se", {}), ("bam", {}), ("iebn", {}), ("sasa", {"kernel_size": 3, "heads": 4}), ("se", {"placement": "layer?"})],
)
def test_a_plain_checkpoint_reaches_every_layer(name, arguments):
    source, target, report = loaded(name, **arguments)
    assert not report.unexpected_keys
    assert all(".attention." in key for key in report.missing_keys)
    detach(target)
    assert torch.equal(target(image()), source(image()))
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())


def test_the_norm_that_stands_for_another_reads_its_plain_checkpoint():
    source, target, report = loaded("iebn")
    assert {key.rpartition(".")[2] for key in report.missing_keys} == {"gate_scale", "gate_shift"}
    for module in attention_modules(target).values():
        module.gate_shift.data.fill_(50.0)  # every gate is 1
    torch.testing.assert_close(target(image()), source(image()))


def test_a_plain_checkpoint_without_the_attention_is_no_full_one():
    target = build(2)
    attach(target, "se")
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "layer1.0.bn2.attention.reduce.weight"'):
        target.load_state_dict(build(1).state_dict())


def test_keys_say_where_a_module_is_and_both_kinds_are_read():
    source, target = build(1), build(2)
    for model in (source, target):
        attach(model, "se")
    assert {"layer1.0.bn2.layer.weight", "layer1.0.bn2.attention.reduce.weight"} <= set(source.state_dict())
    target.load_state_dict(source.state_dict())
    assert torch.equal(target(image()), source(image()))


def test_a_layer_of_another_shape_is_an_error_as_without_attention():
    model = build(1)
    attach(model, "iebn")
    with pytest.raises(RuntimeError, match="size mismatch for layer1.0.bn2"):
        model.load_state_dict({"layer1.0.bn2.weight": torch.ones(7)}, strict=False)


def test_a_layer_with_children_of_the_wrapper_s_names_reads_both_kinds():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.attention = nn.Linear(2, 2), nn.Linear(2, 2)

    plain = {name: torch.randn_like(value) for name, value in Block().state_dict().items()}
    for prefix in ("", "layer."):
        wrapper = WithAttention(Block(), Constant(2, 0.5))
        report = wrapper.load_state_dict({prefix + name: value for name, value in plain.items()})
        assert not report.missing_keys
        assert not report.unexpected_keys
        assert all(torch.equal(wrapper.layer.state_dict()[name], value) for name, value in plain.items())


def test_attributes_pass_through_to_the_layer():
    model = resnet.resnet18(num_classes=4)
    norm = model.layer1[0].bn2
    norm.f, norm.i = -1, 3  # as ultralytics marks the layers of its networks
    attach(model, "se")
    wrapper = model.layer1[0].bn2
    assert (wrapper.f, wrapper.i, wrapper.num_features) == (-1, 3, 64)
    assert wrapper.weight is norm.weight
    wrapper.weight = nn.Parameter(torch.zeros(64))
    wrapper.eps = 0.5
    assert not norm.weight.any()
    assert norm.eps == 0.5
    assert "weight" not in wrapper._parameters
    with pytest.raises(AttributeError, match="stride"):
        _ = wrapper.stride
    wrapper.eval()
    assert (wrapper.training, norm.training) == (False, False)


def test_a_module_in_place_of_a_layer_shows_the_weights_that_work():
    model = build(1)
    norm, convolution = model.layer1[0].bn1, model.layer1[0].conv1
    convolution.f = -1
    attach(model, "iebn")
    assert model.layer1[0].bn1.weight is attention_modules(model)["layer1.0.bn1"].norm.weight
    assert model.layer1[0].bn1.eps == norm.eps
    detach(model)
    attach(model, "sasa", kernel_size=3, heads=4)
    assert model.layer1[0].conv1.f == -1
    assert model.layer1[0].conv1.stride == convolution.stride
    with pytest.raises(AttributeError, match="weight"):
        _ = model.layer1[0].conv1.weight


@pytest.mark.parametrize("name", ["se", "iebn"])
def test_copies_pickles_and_traces_of_an_attached_network(name):
    model = build(1)
    attach(model, name)
    expected = model(image())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(image()), expected)
        twin.load_state_dict(build(2).state_dict(), strict=False)  # into the twin and not into the model
        assert torch.equal(model(image()), expected)
    exported = torch.export.export(model, (image(),)).module()
    torch.testing.assert_close(exported(image()), expected)


@pytest.mark.export  # a type checker refuses proxies
def test_torch_fx_takes_the_modules_for_leaves():
    model = resnet.resnet18(num_classes=4).eval()
    attach(model, "se")
    with pytest.raises(TypeError, match=r"got Proxy; .* leaf_modules=\[attnlib.base.Attention\]"):
        create_feature_extractor(model, ["layer1"])
    extractor = create_feature_extractor(model, ["fc"], tracer_kwargs={"leaf_modules": [Attention]})
    assert torch.equal(extractor(image())["fc"], model(image()))
