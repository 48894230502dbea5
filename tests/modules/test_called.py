"""Layers inside a module are called unless nobody could tell: hooks, parametrisations, other classes do their part."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torchvision.ops import FrozenBatchNorm2d

from attnlib import create, info, list_modules
from attnlib.profiling.trace import count_operations

# What reads a layer's weights in a faster form: the module, its arguments, and the layers.
READ = {
    "triplet": ({}, ["branches.channel_width.conv", "branches.channel_height.conv", "branches.spatial.conv"]),
    "sasa_stem": ({"out_channels": 8, "heads": 2}, ["value.0", "value.3"]),
    "iebn": ({}, ["norm"]),
    "nam": ({"spatial": True, "size": (4, 6)}, ["channel_norm", "spatial_norm"]),
    "non_local": ({"pairwise": "concat"}, ["theta", "phi", "g", "pair"]),
}
every_layer = pytest.mark.parametrize(
    ("key", "path"), [(key, path) for key, (_, paths) in READ.items() for path in paths]
)


def built(key):
    torch.manual_seed(0)
    module = create(key, 16, **READ[key][0])
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module, torch.randn(3, 16, 4, 6)


@pytest.mark.parametrize("key", ["iebn", "nam"])
def test_a_norm_that_keeps_no_statistics_takes_those_of_the_batch(key):
    module, x = built(key)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
            layer.num_batches_tracked = None
    plain, _ = built(key)
    torch.testing.assert_close(module.train()(x), plain.train()(x))
    torch.testing.assert_close(module.eval()(x), plain.train()(x))


def outcome(module, x, training):
    """Output, gradient of the input, and statistics after one step."""
    x = x.clone().requires_grad_()
    y = module.train(training)(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    return y, gradient, *(buffer.double() for buffer in module.buffers())


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_a_hook_sees_the_layer_and_changes_nothing(key, path, training):
    module, x = built(key)
    expected = outcome(copy.deepcopy(module), x, training)
    seen = []
    module.get_submodule(path).register_forward_hook(lambda layer, args, output: seen.append(tuple(output.shape)))
    got = outcome(module, x, training)
    assert len(seen) >= 1
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@every_layer
def test_a_hook_on_all_modules_sees_the_layer(key, path):
    module, x = built(key)
    layer, seen = module.get_submodule(path), []
    handle = nn.modules.module.register_module_forward_hook(lambda each, args, output: seen.append(each))
    try:
        module(x)
    finally:
        handle.remove()
    assert layer in seen


@pytest.mark.parametrize("key", ["triplet", "sasa_stem"])
def test_spectral_norm_trains_and_pruning_lasts_two_steps(key):
    path = READ[key][1][0]
    module, x = built(key)
    layer = module.get_submodule(path)
    parametrizations.spectral_norm(layer)
    layer.parametrizations.weight.original.data.normal_()  # as an optimiser moves it
    before = layer.parametrizations.weight[0]._v.clone()
    module.train()(x)
    assert not torch.equal(layer.parametrizations.weight[0]._v, before)

    module, x = built(key)
    layer = module.get_submodule(path)
    prune.l1_unstructured(layer, "weight", 0.5)
    for _ in range(2):
        module.train()(x).sum().backward()
    assert layer.weight_orig.grad[layer.weight_mask == 0].eq(0).all()


@pytest.mark.parametrize("key", ["triplet", "sasa_stem"])
def test_weight_norm_trains_both_of_its_parts(key):
    module, x = built(key)
    layer = module.get_submodule(READ[key][1][0])
    parametrizations.weight_norm(layer)
    for _ in range(2):
        module.train()(x).square().sum().backward()
    parts = layer.parametrizations.weight
    assert parts.original0.grad.any()
    assert parts.original1.grad.any()


@every_layer
def test_an_observer_sees_what_a_layer_gives(key, path):
    """As quantisation puts one behind each layer: a child that a hook calls."""
    module, x = built(key)
    layer = module.get_submodule(path)
    layer.observer, seen = nn.Identity(), []
    layer.observer.register_forward_hook(lambda observer, args, output: seen.append(float(output.detach().max())))
    layer.register_forward_hook(lambda layer, args, output: layer.observer(output))
    module.eval()(x)
    assert len(seen) >= 1


class Adapted(nn.Module):
    """A layer with a low-rank addition, as LoRA wraps it: it has no weight of its own."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.scale = layer, nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.scale * self.layer(x)


@pytest.mark.parametrize("key", ["triplet", "sasa_stem"])
def test_a_wrapped_layer_takes_part(key):
    path = READ[key][1][0]
    module, x = built(key)
    plain = module.train()(x)
    wrapper = Adapted(module.get_submodule(path))
    module.set_submodule(path, wrapper)
    changed = module(x)
    changed.sum().backward()
    assert wrapper.scale.grad is not None
    wrapper.scale.data.fill_(1.0)
    torch.testing.assert_close(module(x), plain, rtol=1e-4, atol=1e-4)


every_norm = pytest.mark.parametrize(("key", "path"), [(key, path) for key in ("iebn", "nam") for path in READ[key][1]])


@every_norm
def test_a_synchronised_norm_asks_the_other_processes(key, path, monkeypatch):
    module, x = built(key)
    plain = copy.deepcopy(module).train()(x)
    module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    torch.testing.assert_close(module(x), plain)
    asked = []

    def forward(norm, x):
        asked.append(norm)
        return nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, True)

    monkeypatch.setattr(nn.SyncBatchNorm, "forward", forward)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    torch.testing.assert_close(module(x), plain)
    assert module.get_submodule(path) in asked
    asked.clear()
    module.eval()(x)
    assert not asked


@pytest.mark.parametrize(("key", "path"), [("iebn", "norm"), ("nam", "channel_norm")])
def test_a_frozen_norm_takes_part(key, path):
    module, x = built(key)
    norm = module.eval().get_submodule(path)
    expected = module(x)
    frozen = FrozenBatchNorm2d(norm.num_features, norm.eps)
    frozen.load_state_dict(norm.state_dict())
    module.set_submodule(path, frozen)
    torch.testing.assert_close(module.train()(x) if key == "iebn" else module(x), expected, rtol=1e-4, atol=1e-4)


@every_norm
def test_a_wrapper_without_the_parameters_of_its_norm_is_refused(key, path):
    module, x = built(key)
    module.set_submodule(path, Adapted(module.get_submodule(path)))
    with pytest.raises(ValueError, match="part reads the weight|IEBN reads the weight"):
        module.train()(x)
    assert not any(name.endswith("tracked") and count for name, count in module.named_buffers())


@pytest.mark.export  # a tracer has tensors in place of sizes, which the type checker refuses
@pytest.mark.parametrize("key", [key for key in list_modules() if key != "sasa_stem"])
def test_a_counter_that_hooks_layers_has_our_products_of_layers(key):
    """As thop counts: convolutions and linear layers, by hooks on each; products of attention are in none.

    The stem's value layers, called one by one, take more products than their mixture.
    """
    module = create(key, 64, **info(key).arguments_for(64, (8, 12)))
    x, seen = torch.randn(3, 64, 8, 12), []
    macs = count_operations(module, x)["macs"]
    expected = macs.get("convolution", 0) + macs.get("linear", 0)
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda layer, args, output: seen.append(output.numel() * layer.weight[0].numel())
            )
    module.eval()(x)
    assert sum(seen) == expected
