"""VGG16 with batch norms for 32 x 32 images, after Simonyan and Zisserman, ICLR 2015.

Thirteen 3 x 3 convolutions in five stages, each stage ending in 2 x 2 max pooling, and one of the paper's three linear
layers, since 32 x 32 pixels end as a single one.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from attnlib.base import check_count
from attnlib.networks.parts import fan_out_init_

SMALLEST = 32  # five poolings leave one pixel of it


def _stage(in_channels: int, out_channels: int, convolutions: int) -> nn.Sequential:
    widths = [in_channels, *[out_channels] * (convolutions - 1)]
    # With biases, which the norms behind them make useless, because every released form has them.
    return nn.Sequential(
        *(Conv2dNormActivation(width, out_channels, 3, bias=True) for width in widths), nn.MaxPool2d(2)
    )


class CifarVGG16(nn.Module):
    """VGG16-BN for small images, with one linear layer.

    Args:
        classes: outputs of the linear layer.

    Shapes: images (N, 3, H, W), H and W at least 32 (32 x 32 in the released code), to scores (N, classes).

    Raises:
        TypeError: classes is not an integer.
        ValueError: classes below 1; an image with a side below 32.

    Initialisation: as bearpaw's and torchvision's, convolutions from N(0, 2 / (k^2 C_out)), the linear layer from
    N(0, 0.01^2), biases 0; kuangliu's keeps torch's own.

    Source: kuangliu's pytorch-cifar and bearpaw's pytorch-classification, which agree on the layers. Other released
    forms end in three linear layers of 512 or 4096 units with dropout.
    """

    def __init__(self, classes: int = 10) -> None:
        check_count("classes", classes)
        super().__init__()
        self.layer1 = _stage(3, 64, 2)
        self.layer2 = _stage(64, 128, 2)
        self.layer3 = _stage(128, 256, 3)
        self.layer4 = _stage(256, 512, 3)
        self.layer5 = _stage(512, 512, 3)
        self.fc = nn.Linear(512, classes)
        fan_out_init_(self, classifier_std=0.01)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N classes"]:
        height, width = x.shape[2:]
        if min(height, width) < SMALLEST:
            raise ValueError(
                f"an image of {height} x {width} is too small: five 2 x 2 poolings leave no pixel of a side below "
                f"{SMALLEST}; enlarge it to at least {SMALLEST} x {SMALLEST}"
            )
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.layer5(self.layer4(x))
        return self.fc(x.mean((2, 3)))
