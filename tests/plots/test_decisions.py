"""SEM's decision weights as they are, layer by layer, and refused where there are none."""

import numpy as np
import pytest
import torch

from attnlib import plots
from attnlib.networks import attention_modules, create


def test_weights_are_drawn_by_layer_and_operator():
    model = create("resnet8", 10, "sem").train()
    modules = attention_modules(model)
    with torch.no_grad():
        for layer, module in enumerate(modules.values()):
            module.decide.weight.zero_()
            module.decide.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]) * layer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    axis = plots.decision_weights(model, torch.randn(5, 3, 32, 32))
    axis.figure.canvas.draw()
    assert [text.get_text() for text in axis.get_yticklabels()] == list(modules)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["fc", "cnn", "ie"]
    medians = {float(value) for line in axis.lines if line.get_marker() in "os^" for value in line.get_xdata()}
    logits = {float(b * layer) for b in (-1, 0, 1) for layer in range(len(modules))}
    expected = {round(torch.sigmoid(torch.tensor(logit)).item(), 4) for logit in logits}
    assert {round(value, 4) for value in medians} == expected
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_images_that_are_weighed_differently_make_a_bar():
    torch.manual_seed(0)
    model = create("resnet8", 10, "sem")
    images = torch.stack([torch.full((3, 32, 32), level) for level in (-3.0, 0.0, 3.0)])
    with torch.no_grad(), plots.captured(model.eval(), lambda module, x: module.decision(x)) as weights:
        model(images)
    axis = plots.decision_weights(model, images)
    first = next(iter(weights.values()))[:, 0].numpy()  # of "fc" in the first layer
    bar = axis.collections[0].get_segments()[0][:, 0]
    assert list(bar) == pytest.approx(np.percentile(first, [5, 95]), abs=1e-6)


@pytest.mark.parametrize(("attention", "found"), [("se", "SE"), ("none", "no attention")])
def test_a_network_without_sem_is_refused(attention, found):
    with pytest.raises(ValueError, match=f"this network has {found}; build one with attention='sem'"):
        plots.decision_weights(create("resnet8", 10, attention), torch.randn(1, 3, 32, 32))
