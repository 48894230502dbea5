import pytest
import torch
from torch import nn

from attnlib import networks
from attnlib.networks.renaming import reorder_channels, stage_layers
from attnlib.training.steps import sgd_steps


def _network():
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    return nn.Sequential(*layers).double()


def test_renamed_channels_compute_and_learn_the_same():
    torch.manual_seed(0)
    order = torch.tensor([2, 0, 5, 1, 3, 4])
    rows, columns = {"0|1": order}, {"5": order}
    first, twin = _network(), _network()
    nn.init.normal_(first[1].bias)
    twin.load_state_dict(reorder_channels(first.state_dict(), rows, columns))
    images, labels = torch.randn(3, 4, 3, 5, 7).double(), torch.randint(4, (3, 4))
    torch.testing.assert_close(first(images[0]), twin(images[0]))
    before = first.state_dict()["0.weight"].clone()
    after = [sgd_steps(network, images, labels) for network in (first, twin)]
    torch.testing.assert_close(reorder_channels(after[0], rows, columns), dict(after[1]))
    assert (after[0]["0.weight"] - before).abs().max() > 1e-4


def test_the_state_that_came_in_stays_and_half_a_renaming_is_none():
    first = _network()
    state = {name: value.clone() for name, value in first.state_dict().items()}
    half = reorder_channels(first.state_dict(), {"0|1": torch.arange(6).flip(0)}, {})
    torch.testing.assert_close(dict(first.state_dict()), state)
    twin = _network()
    twin.load_state_dict(half)
    x = torch.randn(2, 3, 5, 7).double()
    assert (first(x) - twin(x)).abs().max() > 1e-3


def test_a_pattern_that_matches_nothing_is_told_with_the_layers():
    with pytest.raises(ValueError, match=r"'conv9' matches no layer; the layers are \['0', '1', '5'\]"):
        reorder_channels(_network().state_dict(), {}, {"conv9": torch.arange(6)})


@pytest.mark.parametrize("attention", ["none", "se"])
def test_the_layers_of_a_cifar_resnet_rename_as_a_whole(attention):
    torch.manual_seed(0)
    orders = [torch.randperm(width) for width in (16, 32, 64)]
    first, twin = (networks.create("resnet20", 10, attention).double().eval() for _ in range(2))
    for parameter in first.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 1, 0.5)
    rows, columns = stage_layers(orders)
    if attention == "se":  # its layers read the means of the channels and write their gates
        rows |= {rf"layer{stage}\..*attention\.expand": order for stage, order in enumerate(orders, start=1)}
        columns |= {rf"layer{stage}\..*attention\.reduce": order for stage, order in enumerate(orders, start=1)}
    twin.load_state_dict(reorder_channels(first.state_dict(), rows, columns))
    x = torch.randn(2, 3, 16, 12).double()
    torch.testing.assert_close(first(x), twin(x))
