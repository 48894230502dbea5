"""Object context (OCNet): Yuan and Wang, arXiv 1809.00916 (2018); journal version IJCV 129 (2021).

Three heads of a segmentation network that describe a pixel by the weighted mean of the pixels that resemble it: of all
pixels (Base-OC), inside the cells of four partitions (Pyramid-OC), or beside dilated convolutions (ASP-OC). Status: the
context starts at zero, so that each starts as plain convolutions; made for maps of 512 channels at an eighth of the
image's size.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.base import SelfAttention, check_count, check_flag, check_map, check_probability
from attnlib.self_attention.object_context import (
    ObjectContext,
    check_side,
    check_values,
    conv_abn,
    statistics_kept,
)


def check_half(name: str, width: int | None, channels: int, least: int = 1) -> int:
    """A number of channels, half of the map's where none is given.

    Raises:
        TypeError, ValueError: see `check_count`; also where half of the map's channels is less than `least`.
    """
    if width is not None:
        check_count(name, width)
        return width
    if channels // 2 < least:
        raise ValueError(
            f"channels={channels} leaves {channels // 2} for {name}, half of them, where at least {least} is needed; "
            f"use {2 * least} channels or more, or give {name}"
        )
    return channels // 2


def check_counts(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Refuse anything but a sequence of one or more positive integers.

    Raises:
        TypeError, ValueError: see `check_count`; an empty sequence.
    """
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{name} must be a tuple of ints, got {values!r}")
    if not values:
        raise ValueError(f"{name} must have one entry or more, got {values!r}")
    for value in values:
        check_count(f"each of {name}", value)
    return tuple(values)


class BaseOC(SelfAttention):
    """Fuse every pixel with its context: Drop(ABN(conv_1x1 [c; x])).

        c_p = W sum_i w_pi V(x_i),      w_pi = softmax over i of f_q(x_p) . f_k(x_i) / sqrt(C_k)

    f_q and f_k are a 1 x 1 convolution and ABN each: a batch norm that scales by |gamma| + eps, then a leaky ReLU of
    slope 0.01.

    Args:
        channels: number of channels C of the map; the paper's head has 512.
        key_channels: C_k, the channels of f_q and f_k; None is C / 2.
        value_channels: the channels of V; None is C / 2.
        scale: attend on a map that is max-pooled scale x scale, and enlarge the context (bilinear, corners aligned).
        dropout: probability of a channel of the output to be zero in train mode.
        shared: f_q and f_k are one transform, as released. The paper's equation has two: `False`.

    Shapes: x and the output (N, C, H, W); the weights (N, 1, Q, keys), both counted on the pooled map where scale > 1.

    Parameters, with K and V channels: (C + 3) K, twice that where not shared; (C + 1) V; (V + 1) C; 2 C^2 + 3 C.
        920,576 for C = 512.

    Raises:
        ValueError: an argument out of its range; a map of another shape or with a side below `scale`; in train mode a
            single value per channel.
        TypeError: a count that is no integer, a flag that is no bool; an input that is not floating point.

    Where the released code differs from the paper: one transform for queries and keys, scores over sqrt(C_k), and no
    position feature, which the paper's first version had.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int | None = None,
        value_channels: int | None = None,
        scale: int = 1,
        dropout: float = 0.05,
        shared: bool = True,
    ) -> None:
        check_count("channels", channels)
        key_channels = check_half("key_channels", key_channels, channels)
        value_channels = check_half("value_channels", value_channels, channels)
        check_count("scale", scale)
        check_probability("dropout", dropout)
        check_flag("shared", shared)
        super().__init__(channels)
        self.scale = scale
        self.context = ObjectContext(channels, key_channels, value_channels, shared, pool=scale)
        self.fuse = conv_abn(2 * channels, channels)
        self.drop = nn.Dropout2d(dropout)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        return self.drop(self.fuse(torch.cat([self.context(x), x], 1)))

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N 1 Q keys"]:
        self._check(x)
        return self.context.weights(x, queries)[0]

    def _check(self, x: Tensor) -> None:
        check_map(x, self.channels)
        check_side(x, self.scale, f"scale={self.scale} pools {self.scale} x {self.scale}")
        if self.training:
            check_values(x, self.scale)


class PyramidOC(SelfAttention):
    """Fuse every pixel with its contexts inside the cells of several partitions.

        Drop(ABN(conv_1x1 [U(x); c^(1); c^(2); c^(3); c^(6)]))

    c^(s) is Base-OC's context inside each of s x s cells of floor(H / s) x floor(W / s) pixels, of which the last row
    and column take what does not divide. Each s has weights of its own, shared by its cells. U is a 1 x 1 convolution
    and ABN to as many channels as all contexts together.

    Args:
        channels: number of channels C of the map; the paper's head has 512.
        key_channels: the channels of f_q and f_k; None is C / 2.
        value_channels: the channels of V; None is C.
        scales: the partitions s.
        dropout: probability of a channel of the output to be zero in train mode.
        shared: f_q and f_k are one transform, as released. The paper's equation has two: `False`.

    Shapes: x and the output (N, C, H, W), every side at least the largest of the scales; the weights a list with
        (N, 1, Q, keys) for every scale and cell, row by row.

    Parameters with S scales, K and V channels: S times [(C + 3) K, twice that where not shared, + (C + 1) V +
        (V + 1) C], and S C (C + 3) + C (2 S C + 3). 5,782,016 for C = 512.

    Raises:
        ValueError: an argument out of its range; a map of another shape or with a side below the largest of the scales;
            in train mode a single value per channel.
        TypeError: a count that is no integer, a flag that is no bool; an input that is not floating point.

    Where the released code differs from the paper: as Base-OC's. An exported module has a fixed H and W: the sides have
    to be known to be cut.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int | None = None,
        value_channels: int | None = None,
        scales: Sequence[int] = (1, 2, 3, 6),
        dropout: float = 0.05,
        shared: bool = True,
    ) -> None:
        check_count("channels", channels)
        key_channels = check_half("key_channels", key_channels, channels)
        value_channels = channels if value_channels is None else value_channels
        check_count("value_channels", value_channels)
        scales = check_counts("scales", scales)
        check_probability("dropout", dropout)
        check_flag("shared", shared)
        super().__init__(channels)
        self.scales = scales
        self.contexts = nn.ModuleList(
            ObjectContext(channels, key_channels, value_channels, shared, cells=cells) for cells in scales
        )
        self.widen = conv_abn(channels, len(scales) * channels)  # U
        self.fuse = conv_abn(2 * len(scales) * channels, channels)
        self.drop = nn.Dropout2d(dropout)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        return self.drop(self.fuse(torch.cat([self.widen(x), *(context(x) for context in self.contexts)], 1)))

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> list[Float[Tensor, "N 1 _ _"]]:
        """For every scale and cell, row by row of cells; of the chosen queries a cell has those that lie in it."""
        self._check(x)
        return [cell for context in self.contexts for cell in context.weights(x, queries)]

    def _check(self, x: Tensor) -> None:
        check_map(x, self.channels)
        check_side(
            x,
            max(self.scales),
            f"scales={self.scales} cut the map into up to {max(self.scales)} x {max(self.scales)} cells",
        )
        if self.training:
            check_values(x)


class ASPOC(SelfAttention):
    """Fuse the context with a pointwise and three dilated convolutions, as an atrous spatial pyramid does.

        Drop(ABN(conv_1x1 [ctx(x); b_0(x); b_1(x); b_2(x); b_3(x)]))

    ctx is a 3 x 3 convolution and ABN to the branch's width, Base-OC's context of that on a map pooled 2 x 2, and a
    1 x 1 convolution and ABN; b_0 is a 1 x 1, b_1 to b_3 are dilated 3 x 3 convolutions, with ABN and without biases.

    Args:
        channels: number of channels C of the map; the paper's head has 512.
        branch_channels: the width of each of the five branches; None is C / 2. Keys have half of it, values all of it.
        dilations: of the 3 x 3 convolutions.
        scale: the context's pooling.
        dropout: probability of a channel of the output to be zero in train mode.
        shared: f_q and f_k are one transform, as released. The paper's equation has two: `False`.

    Shapes: x and the output (N, C, H, W), every side at least `scale`; the weights (N, 1, Q, keys), queries and keys
        counted on the pooled map.

    Parameters with B branch channels, K = floor(B / 2) and D dilations: 9 C B + 3 B for the 3 x 3 convolution; (B + 3)
        K, twice that where not shared, and 2 B (B + 1) for the context; B (B + 3) behind it; C B + 2 B; D (9 C B +
        2 B); C (D + 2) B + 2 C. 5,739,904 for C = 512.

    Raises:
        ValueError: an argument out of its range; a map of another shape or with a side below `scale`; in train mode a
            single value per channel.
        TypeError: a count that is no integer, a flag that is no bool; an input that is not floating point.

    Where the released code differs from the paper: the pooling before the context, which the figure does not show, and
    dilations 12, 24, 36 where the figure of the first version has 6, 12, 18.
    """

    def __init__(
        self,
        channels: int,
        branch_channels: int | None = None,
        dilations: Sequence[int] = (12, 24, 36),
        scale: int = 2,
        dropout: float = 0.1,
        shared: bool = True,
    ) -> None:
        check_count("channels", channels)
        branch = check_half("branch_channels", branch_channels, channels, least=2)
        if branch < 2:
            raise ValueError(f"branch_channels must be at least 2, got {branch}: the keys have half of them")
        dilations = check_counts("dilations", dilations)
        check_count("scale", scale)
        check_probability("dropout", dropout)
        check_flag("shared", shared)
        super().__init__(channels)
        self.scale = scale
        self.reduce = conv_abn(channels, branch, kernel_size=3)
        self.context = ObjectContext(branch, branch // 2, branch, shared, pool=scale)
        self.project = conv_abn(branch, branch)
        self.branches = nn.ModuleList([conv_abn(channels, branch, bias=False)])
        for dilation in dilations:
            self.branches.append(conv_abn(channels, branch, kernel_size=3, dilation=dilation, bias=False))
        self.fuse = conv_abn((2 + len(dilations)) * branch, channels, bias=False)
        self.drop = nn.Dropout2d(dropout)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        context = self.project(self.context(self.reduce(x)))
        return self.drop(self.fuse(torch.cat([context, *(branch(x) for branch in self.branches)], 1)))

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N 1 Q keys"]:
        self._check(x)
        with statistics_kept(self):
            reduced = self.reduce(x)
        return self.context.weights(reduced, queries)[0]

    def _check(self, x: Tensor) -> None:
        check_map(x, self.channels)
        check_side(x, self.scale, f"scale={self.scale} pools {self.scale} x {self.scale}")
        if self.training:
            check_values(x, self.scale)
