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
from attnlib.data.scenes import scenes
from attnlib.self_attention.object_context import conv_abn
from attnlib.self_attention.ocnet import ASPOC, BaseOC, PyramidOC

WIDTH, STRIDE = 32, 4
PAIRS = {  # kinds of scenes, by their two objects
    "one class": {"same_class": True},
    "one class, one look": {"same_class": True, "same_colours": True},
    "two classes": {"same_class": False},
    "two classes, one look": {"same_class": False, "same_colours": True},
}


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


def pictures(
    count: int, seed: int, **pair: bool | None
) -> tuple[UInt8[Tensor, "N 4 H W"], Int[Tensor, "N h w"], Int[Tensor, "N h w"]]:
    """Scenes as the network takes them: inputs with the objects as groups, then classes and objects at the map.

    Args:
        count, seed, pair: see `attnlib.data.scenes.scenes`.
    """
    images, labels, objects = (torch.from_numpy(each) for each in scenes(count, seed, **pair))
    inputs = torch.cat([images.permute(0, 3, 1, 2), objects[:, None].byte()], 1)
    return inputs, at_the_map(labels).contiguous(), at_the_map(objects).contiguous()


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


def shares(weights: Float[Tensor, "N P P"], objects: Int[Tensor, "N h w"]) -> dict[str, dict[str, float]]:
    """Where the weights of the positions of objects fall, in the mean, and where equal weights would.

    Args:
        weights: a row for each of the P = h w positions.
        objects: 0 on the ground, 1 and 2 on the objects.

    Returns:
        {"share": parts, "area": parts}, each {"own": the own object, "other": the other one, "ground": the rest}; the
        parts sum to one.
    """
    where = F.one_hot(objects.flatten(1), 3).to(weights.dtype)
    areas = where.mean(1, keepdim=True).expand_as(where)
    first, second = (objects.flatten(1) == number for number in (1, 2))
    found = {}
    for what, parts in (("share", weights @ where), ("area", areas)):
        ground, own, other = torch.cat([parts[first], parts[second][:, [0, 2, 1]]]).mean(0).tolist()
        found[what] = {"own": own, "other": other, "ground": ground}
    return found
