"""What is drawn is what was computed, and looking at a model leaves it as it was."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attnlib import plots
from attnlib.networks import attention_modules, create


def test_captured_reads_every_module_and_takes_its_hooks_away():
    model = create("resnet8", 10, "se").eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad(), plots.captured(model, lambda module, x: module.gate(x)) as gates:
        model(x)
    assert list(gates) == list(attention_modules(model))
    assert gates["layer3.0.bn2"].shape == (2, 64, 1, 1)
    gates.clear()
    model(x)
    assert gates == {}


def test_captured_takes_its_hooks_away_after_an_error():
    model = create("resnet8", 10, "se")
    with pytest.raises(RuntimeError, match="stop"), plots.captured(model, lambda module, x: None):
        raise RuntimeError("stop")
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_maps_share_one_colour_scale():
    images = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    figure = plots.show_maps(images, [torch.full((2, 8, 8), 0.2), np.full((2, 8, 8), 0.7)], ["a", "b"])
    limits = {drawn.get_clim() for axis in figure.axes for drawn in axis.images if drawn.get_array().ndim == 2}
    assert (0.2, 0.7) in {tuple(round(float(v), 6) for v in pair) for pair in limits}
    assert [axis.get_title() for axis in figure.axes[:3]] == ["image", "a", "b"]


def test_grad_cam_has_no_negative_evidence_and_restores_the_mode():
    torch.manual_seed(0)
    model = create("resnet8", 10, "nam").train()
    heat = plots.grad_cam(model, model.layer3, torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 2]))
    assert heat.shape == (3, 8, 8) and heat.min() >= 0 and heat.max() > 0
    assert model.training and all(module.training for module in model.modules())


def test_overlay_stretches_the_map_to_the_image():
    _, axis = plt.subplots()
    plots.overlay(np.zeros((32, 24, 3), dtype=np.uint8), torch.arange(16.0).view(4, 4), axis)
    heat = axis.images[1].get_array()
    assert heat.shape == (32, 24) and heat.min() == 0 and heat.max() == 1
