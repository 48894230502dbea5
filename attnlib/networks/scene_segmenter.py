"""A small network that names every pixel of the pictures of `attnlib.data.scenes`, with a context of choice inside.

Three convolutions see 15 x 15 pixels, less than an object has; the context is the only way to what lies farther. The
heads are OCNet's, scaled down, beside controls that know less (no context, one mean for all pixels) and more (the mean
of what truly belongs together).
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from attnlib.base import check_choice, check_count
from attnlib.self_attention.object_context import conv_abn
from attnlib.self_attention.ocnet import ASPOC, BaseOC, PyramidOC

WIDTH, STRIDE = 32, 4


class GivenContext(nn.Module):
    """Base-OC with weights that are given: a pixel's context is the plain mean of the values of its group.

    Args:
        channels: of the map.

    Shapes: x and the output (N, C, H, W); groups (N, H, W), whole numbers, equal where pixels belong together.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels, channels // 2, 1)
        self.out = nn.Conv2d(channels // 2, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.fuse = conv_abn(2 * channels, channels)

    def forward(self, x: Float[Tensor, "N C H W"], groups: Int[Tensor, "N H W"]) -> Float[Tensor, "N C H W"]:
        belongs = F.one_hot(groups.flatten(1)).to(x.dtype)  # N, positions, groups
        means = self.value(x).flatten(2) @ belongs / belongs.sum(1, keepdim=True).clamp(min=1)
        context = (means @ belongs.mT).unflatten(2, x.shape[2:])
        return self.fuse(torch.cat([self.out(context), x], 1))


def _asp_without_context() -> ASPOC:
    """ASP-OC whose context stays the zero that it starts as."""
    head = ASPOC(WIDTH, dilations=(2, 4, 6), dropout=0.0)
    for parameter in (*head.reduce.parameters(), *head.context.parameters()):
        parameter.requires_grad = False
    return head


HEADS: dict[str, Callable[[], nn.Module]] = {
    "none": partial(conv_abn, WIDTH, WIDTH),
    "mean": partial(GivenContext, WIDTH),
    "base": partial(BaseOC, WIDTH, dropout=0.0),
    "base, two transforms": partial(BaseOC, WIDTH, dropout=0.0, shared=False),
    "pyramid": partial(PyramidOC, WIDTH, scales=(1, 2, 4), dropout=0.0),
    "asp": partial(ASPOC, WIDTH, dilations=(2, 4, 6), dropout=0.0),
    "asp without context": _asp_without_context,
    "told": partial(GivenContext, WIDTH),
}


class SceneSegmenter(nn.Module):
    """Scores of every class for every pixel of a map with a quarter of the picture's side.

    Args:
        head: of HEADS; "mean" takes all pixels for one group, "told" believes what the input says.
        classes: scores per pixel.

    Shapes: inputs (N, 4, H, W) uint8, red, green, blue and, for "told", the group of each pixel; scores (N, classes,
        H/4, W/4).

    Raises:
        UnknownNameError: an unknown head.
    """

    def __init__(self, head: str, classes: int) -> None:
        check_choice("head", head, HEADS)
        check_count("classes", classes)
        super().__init__()
        layers = []
        for before, after, stride in ((3, WIDTH // 2, 2), (WIDTH // 2, WIDTH, 2), (WIDTH, WIDTH, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.name, self.head = head, HEADS[head]()
        self.classifier = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, inputs: UInt8[Tensor, "N 4 H W"]) -> Float[Tensor, "N classes h w"]:
        x = self.map_of(inputs)
        if not isinstance(self.head, GivenContext):
            return self.classifier(self.head(x))
        groups = at_the_map(inputs[:, 3]).long()
        return self.classifier(self.head(x, groups if self.name == "told" else torch.zeros_like(groups)))

    def map_of(self, inputs: UInt8[Tensor, "N 4 H W"]) -> Float[Tensor, "N C h w"]:
        """What the head gets."""
        return self.features(inputs[:, :3] / 127.5 - 1)


def at_the_map(pixels: Tensor) -> Tensor:
    """Of (N, H, W), the pixel in the middle of each position of the map."""
    return pixels[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]


def mean_iou(predicted: Int[Tensor, "*pixels"], labels: Int[Tensor, "*pixels"], classes: int) -> float:
    """The mean over classes of the intersection over the union of what is and what is said to be of the class.

    Raises:
        ValueError: a class that is in neither has no such ratio.
    """
    pairs = torch.bincount((labels * classes + predicted).flatten(), minlength=classes**2).view(classes, classes)
    union = pairs.sum(0) + pairs.sum(1) - pairs.diag()
    if not union.all():
        raise ValueError(f"class {union.argmin().item()} is neither in the labels nor in the predictions")
    return (pairs.diag() / union).double().mean().item()
