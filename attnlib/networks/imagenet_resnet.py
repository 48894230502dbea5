"""torchvision's ResNets, as they are and in two other forms."""

from torch import nn
from torchvision.models import resnet
from torchvision.models.resnet import Bottleneck


def imagenet_resnet(name: str, classes: int) -> nn.Module:
    """The network `name` of torchvision, e.g. "resnet50" or "resnext50_32x4d", with random weights."""
    return getattr(resnet, name)(num_classes=classes)


def stride_first(name: str, classes: int) -> nn.Module:
    """The stage's stride in the first 1 x 1 convolution, as in the original ResNets, instead of the 3 x 3."""
    model = imagenet_resnet(name, classes)
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return model


def small_stem(name: str, classes: int) -> nn.Module:
    """ImageNet widths on 32 x 32 images: a 3 x 3 stem of stride 1 and no max pooling."""
    model = imagenet_resnet(name, classes)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model
