"""SAGAN's networks: Zhang, Goodfellow, Metaxas and Odena, ICML 2019, arXiv 1805.08318.

A generator that is told the class by the scales and shifts of its batch norms, and a discriminator that is told it by
an inner product with its last features. Both consist of residual blocks, have every weight divided by its spectral norm
and one attention layer, at maps of the same size.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from attnlib.base import check_choice, check_count
from attnlib.self_attention.sagan import FORMS, SAGAN

IMAGE_SIZES = (32, 64, 128)


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a scale and a shift for every class; they start at 1 and 0."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, momentum=0.001, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"]) -> Float[Tensor, "N C H W"]:
        scale, shift = F.embedding(labels, self.scale), F.embedding(labels, self.shift)
        return self.norm(x) * scale[..., None, None] + shift[..., None, None]


class GeneratorBlock(nn.Module):
    """Doubles H and W: norm, ReLU, nearest neighbour, 3 x 3, norm, ReLU, 3 x 3; beside it nearest neighbour, 1 x 1."""

    def __init__(self, channels: int, out_channels: int, classes: int) -> None:
        super().__init__()
        self.bn1 = ConditionalBatchNorm(channels, classes)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.bn2 = ConditionalBatchNorm(out_channels, classes)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"]) -> Float[Tensor, "N K 2*H 2*W"]:
        y = F.interpolate(torch.relu(self.bn1(x, labels)), scale_factor=2.0)
        y = self.conv2(torch.relu(self.bn2(self.conv1(y), labels)))
        return y + self.shortcut(F.interpolate(x, scale_factor=2.0))


class ImageBlock(nn.Module):
    """The discriminator's first: 3 x 3, ReLU, 3 x 3, mean pooling 2 x 2; beside it mean pooling, 1 x 1."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(3, out_channels, 1)

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N K h w"]:
        y = F.avg_pool2d(self.conv2(torch.relu(self.conv1(x))), 2)
        return y + self.shortcut(F.avg_pool2d(x, 2))


class DiscriminatorBlock(nn.Module):
    """ReLU, 3 x 3, ReLU, 3 x 3, mean pooling 2 x 2; beside it 1 x 1, mean pooling. The last keeps width and size."""

    def __init__(self, channels: int, out_channels: int, last: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if last else nn.Conv2d(channels, out_channels, 1)
        self.pool = nn.Identity() if last else nn.AvgPool2d(2)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        y = self.conv2(torch.relu(self.conv1(torch.relu(x))))
        return self.pool(y) + self.pool(self.shortcut(x))


class Generator(nn.Module):
    """Images in [-1, 1] of noise and classes.

    A linear layer to a 4 x 4 map, blocks that double its side up to the image's, batch norm, ReLU, a 3 x 3 convolution
    and tanh. The last block has `width` channels, each before it twice as many, and the first as many as the linear
    layer's map: 1024, 1024, 512, 256, 128, 64 for 128 x 128 images.

    Args:
        classes: number of classes K; 1000 in the paper.
        image_size: 128, or 64 and 32, which are not in the paper and have one and two blocks less.
        attention_at: side of the map behind whose block the attention stands, 8 to half the image's; None is without.
            The paper's Table 1 compares 8 to 64; the released script has 32.
        width: channels of the last block.
        noise: length of the noise vector.
        form: of the attention, see `attnlib.self_attention.sagan.SAGAN`.

    Shapes: noise (N, noise) and labels (N,) to images (N, 3, image_size, image_size).

    Parameters, for blocks from a to b channels: 16 a (noise + 1) with the first a; 10 a b + 9 b^2 + 3 b + 2 K (a + b)
        each; 29 width + 3; those of the attention. 42,078,852 by default.

    Raises:
        ValueError: an argument out of its range; noise or labels of another shape.
        TypeError: a count that is no integer; labels that are no integers.

    Initialisation as released: Xavier, biases and gamma zero; running statistics move by 0.001, those of the last norm
    by 0.0001. Where the released code differs: its gradient also flows through the power iteration's vectors, which
    PyTorch's spectral norm holds constant.
    """

    def __init__(
        self,
        classes: int = 1000,
        image_size: int = 128,
        attention_at: int | None = 32,
        width: int = 64,
        noise: int = 128,
        form: str = "released",
    ) -> None:
        _check_arguments(classes, image_size, attention_at, width, form)
        check_count("noise", noise)
        super().__init__()
        self.classes, self.image_size, self.noise = classes, image_size, noise
        widths = [min(image_size // side, image_size // 8) * width for side in _doubled(4, image_size)]
        self.linear = nn.Linear(noise, 4 * 4 * widths[0])
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, classes) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.bn = nn.BatchNorm2d(width, momentum=0.0001)
        self.conv = nn.Conv2d(width, 3, 3, padding=1)
        _initialise(self)
        # Behind block i the map has a side of 8 * 2^i.
        self.attended = None if attention_at is None else _doubled(8, image_size).index(attention_at)
        self.attention = None if self.attended is None else _initialise(SAGAN(widths[self.attended + 1], form))

    def forward(self, z: Float[Tensor, "N noise"], labels: Int[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        if z.dim() != 2 or z.shape[1] != self.noise:
            raise ValueError(f"noise must be (N, {self.noise}), got shape {tuple(z.shape)}")
        _check_labels(labels, len(z))
        x = self.linear(z).unflatten(1, (-1, 4, 4))
        for index, block in enumerate(self.blocks):
            x = block(x, labels)
            if index == self.attended:
                x = self.attention(x)
        return torch.tanh(self.conv(torch.relu(self.bn(x))))


class Discriminator(nn.Module):
    """Scores of images and classes, high for what it holds to be real: f(x) . (v + e_y) + b.

    Blocks that halve the map's side down to 4, one more, ReLU and the sum over the map give f(x); v and b are a linear
    layer, e_y the embedding of the class. The first block has `width` channels, each behind it twice as many, the last
    as many as the one before: 64, 128, 256, 512, 1024, 1024 for 128 x 128 images.

    Args:
        classes, image_size, attention_at, form: as in `Generator`.
        width: channels of the first block.

    Shapes: images (N, 3, image_size, image_size) and labels (N,) to scores (N,).

    Parameters, for blocks from a to b channels: 10 a b + 9 b^2 + 3 b each, with a = 3 in the first, and 18 b^2 + 2 b
        in the last; b + 1 and K b; those of the attention. 39,463,618 by default.

    Raises:
        ValueError: an argument out of its range; images or labels of another shape.
        TypeError: a count that is no integer; labels that are no integers.

    Initialisation as released: Xavier, biases and gamma zero. Where the released code differs: see `Generator`; its
    power iteration also rests where images of the generator are scored, while here every call in train mode is a step.
    """

    def __init__(
        self,
        classes: int = 1000,
        image_size: int = 128,
        attention_at: int | None = 32,
        width: int = 64,
        form: str = "released",
    ) -> None:
        _check_arguments(classes, image_size, attention_at, width, form)
        super().__init__()
        self.classes, self.image_size = classes, image_size
        sides = _doubled(4, image_size // 2)[::-1]
        widths = [image_size // side // 2 * width for side in sides]
        self.blocks = nn.ModuleList([ImageBlock(width)])
        for before, after in zip(widths, widths[1:], strict=False):
            self.blocks.append(DiscriminatorBlock(before, after))
        self.blocks.append(DiscriminatorBlock(widths[-1], widths[-1], last=True))
        self.linear = nn.Linear(widths[-1], 1)
        self.embedding = nn.Embedding(classes, widths[-1])
        _initialise(self)
        self.attended = None if attention_at is None else sides.index(attention_at)
        self.attention = None if self.attended is None else _initialise(SAGAN(widths[self.attended], form))

    def forward(self, x: Float[Tensor, "N 3 H W"], labels: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        if x.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"images must be (N, 3, {self.image_size}, {self.image_size}), got shape {tuple(x.shape)}; resize "
                f"them, or choose another image_size of {', '.join(map(str, IMAGE_SIZES))}"
            )
        _check_labels(labels, len(x))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == self.attended:
                x = self.attention(x)
        features = torch.relu(x).sum((2, 3))
        return self.linear(features)[:, 0] + (features * self.embedding(labels)).sum(1)


def discriminator_loss(real: Float[Tensor, " N"], fake: Float[Tensor, " M"]) -> Float[Tensor, ""]:
    """Hinge loss of the scores of real and generated images: means of max(0, 1 - real) and max(0, 1 + fake), added."""
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def generator_loss(fake: Float[Tensor, " M"]) -> Float[Tensor, ""]:
    """Minus the mean score of generated images."""
    return -fake.mean()


def _doubled(first: int, last: int) -> list[int]:
    """first, 2 first, 4 first ... up to last."""
    return [first << power for power in range((last // first).bit_length())]


def _initialise(network: nn.Module) -> nn.Module:
    """Xavier weights and zero biases; then each of these weights is divided by its spectral norm.

    A network is done before its attention is drawn, so that under one seed it is the same with and without.
    """
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.xavier_uniform_(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)
            spectral_norm(layer)
    return network


def _check_arguments(classes: int, image_size: int, attention_at: int | None, width: int, form: str) -> None:
    check_count("classes", classes)
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image_size must be {', '.join(map(str, IMAGE_SIZES))}, got {image_size!r}")
    sides = _doubled(8, image_size // 2)
    if attention_at is not None and attention_at not in sides:
        raise ValueError(
            f"attention_at={attention_at!r} does not fit image_size={image_size}: both networks have maps of "
            f"{', '.join(map(str, sides))}; None is without attention"
        )
    check_count("width", width)
    check_choice("form", form, FORMS)


def _check_labels(labels: Tensor, number: int) -> None:
    if labels.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"labels must be a tensor of int64 or int32, got {labels.dtype}; use labels.long()")
    if labels.shape != (number,):
        raise ValueError(f"labels must be ({number},), one class per image, got shape {tuple(labels.shape)}")
