"""Networks of several papers' tables that attnlib does not have by name."""

from typing import Any

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from attnlib.ledger.measure import Network
from attnlib.networks.preact_resnet import PreActBottleneck

IMAGE = ((1, 3, 224, 224),)
_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def stride_first(model: nn.Module) -> None:
    """Put a stage's stride into the first 1 x 1 convolution of its bottleneck, instead of the 3 x 3."""
    for block in model.modules():
        if isinstance(block, Bottleneck | PreActBottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)


def resnext(depth: int) -> nn.Module:
    """ResNeXt of 32 x 4d; by this width torchvision has that of 50 layers alone."""
    return ResNet(Bottleneck, _BLOCKS[depth], groups=32, width_per_group=4)


def resnext_stride_first(depth: int) -> nn.Module:
    """The same as its authors have it."""
    model = resnext(depth)
    stride_first(model)
    return model


def wide_resnet18(widen: float) -> nn.Module:
    """ResNet-18 with `widen` times as wide stages behind the usual stem."""
    model = ResNet(BasicBlock, (2, 2, 2, 2))
    model.inplanes = 64
    for number, width in enumerate((64, 128, 256, 512), start=1):
        stride = 1 if number == 1 else 2
        setattr(model, f"layer{number}", model._make_layer(BasicBlock, int(width * widen), 2, stride))
    model.fc = nn.Linear(int(512 * widen), 1000)
    return model


def body(backbone: str, attention: str = "none", *arguments: tuple[str, Any]) -> nn.Module:
    """A ResNet without its classifier, as a detector has it."""
    model = Network(backbone, attention, arguments).build()
    model.avgpool, model.fc = nn.Identity(), nn.Identity()
    return model
