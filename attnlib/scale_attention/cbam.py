"""Convolutional block attention module (CBAM): Woo, Park, Lee and Kweon, ECCV 2018, arXiv 1807.06521.

A channel gate from each channel's mean and maximum through one shared bottleneck, then a spatial gate from each
pixel's maximum and mean through one 7 x 7 convolution. Status: nearly all parameters are the channel gate's, 2 C^2 / r
as in SE; the spatial gate has 100, two of them of a batch norm that the paper does not mention.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_choice, check_count, check_flag, check_map, check_odd, check_reduction
from attnlib.scale_attention.pooled_gate import PooledGate

ORDERS = ("channel-first", "spatial-first", "parallel")
POOLS = ("avg", "max")
DESCRIPTORS = ("max-avg", "conv")


def check_pools(pools: Sequence[str]) -> None:
    """Refuse pools of the channel gate that are not a selection of POOLS.

    Raises:
        TypeError: not a list or tuple.
        ValueError: none, an unknown one, or one twice.
    """
    if not isinstance(pools, list | tuple):
        raise TypeError(f'channel_pools must be a list or tuple such as ("avg", "max"), got {pools!r}')
    for pool in pools:
        check_choice("channel_pools", pool, POOLS)
    if not pools or len(set(pools)) < len(pools):
        raise ValueError(f'channel_pools must name "avg", "max" or both once, got {pools!r}')


class CBAM(ScaleAttention):
    """Gate channels, then pixels of the gated map.

        M_c(x) = sigmoid(W_1 relu(W_0 mean(x)) + W_1 relu(W_0 max(x)))       mean, max over pixels
        M_s(x) = sigmoid(BN(f_kxk([max(x); mean(x)])))                       mean, max over channels
        y = z * M_s(z),    z = x * M_c(x)

    Args:
        channels: number of channels C of the map.
        reduction: the paper's r; the hidden layer has floor(C / r) units.
        kernel_size: k of the spatial gate (Table 2 has 3 and 7).
        channel, spatial: the two gates; one may be left out.
        order: "channel-first"; "spatial-first"; or "parallel", both from x, their logits added before one sigmoid
            (Table 3).
        channel_pools: which of "avg" and "max" feed the shared layers (Table 1).
        descriptor: what the k x k convolution sees of the channels: "max-avg", or "conv", a learned 1 x 1 convolution
            to one map (Table 2; no code of it was released: here it has no bias, and nothing follows it).
        bias: of W_0 and W_1, as released; the output's bias counts once for each pool. The paper's equation has none.
        norm: the released batch norm BN behind the k x k convolution, momentum 0.01; the paper has none.

    Shapes: x and the output (N, C, H, W); the gate broadcasts to it: (N, C, 1, 1) of a channel gate alone, (N, 1, H, W)
    of a spatial gate alone.

    Parameters, h = floor(C / r): 2 C h, with biases C + h more; 2 k^2 + 2 in the spatial gate, with descriptor="conv"
    C + k^2 + 2, without norm 2 less.

    Raises:
        ValueError: C < r, an even kernel, no gate, an order for one gate alone, unknown or repeated choices, a map of
            another shape; in train mode a spatial gate of a single value.
        TypeError: an argument of another type; an input that is not floating point.

    Source: equations 1 to 3 and Tables 1 to 3 of the paper.

    Where the released code differs: biases in the shared layers, the norm, and the order [max; mean] before the
    convolution, where the paper writes [mean; max].
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel_size: int = 7,
        channel: bool = True,
        spatial: bool = True,
        order: str = "channel-first",
        channel_pools: Sequence[str] = POOLS,
        descriptor: str = "max-avg",
        bias: bool = True,
        norm: bool = True,
    ) -> None:
        check_count("channels", channels)
        check_count("reduction", reduction)
        check_odd("kernel_size", kernel_size)
        for name, flag in {"channel": channel, "spatial": spatial, "bias": bias, "norm": norm}.items():
            check_flag(name, flag)
        check_choice("order", order, ORDERS)
        check_choice("descriptor", descriptor, DESCRIPTORS)
        if not (channel or spatial):
            raise ValueError("channel=False and spatial=False leave no gate; choose one or both")
        if order != "channel-first" and not (channel and spatial):
            raise ValueError(f"order={order!r} is for two gates; pass channel=True and spatial=True or leave it out")
        check_pools(channel_pools)
        hidden = check_reduction(channels, reduction) if channel else 0
        super().__init__(channels)
        self.order = order
        self.channel_gate = ChannelGate(channels, hidden, tuple(channel_pools), bias) if channel else None
        self.spatial_gate = SpatialGate(channels, kernel_size, descriptor, norm) if spatial else None

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, " N #C #H #W"]:
        self._check(x)
        gate = None
        for parts in self._steps():
            z = x if gate is None else x * gate
            own = torch.sigmoid(sum(part(*part.pool(z)) for part in parts)).to(x.dtype)
            gate = own if gate is None else gate * own
        return gate

    def _steps(self) -> list[list[nn.Module]]:
        """The gates one after another, in parallel those that share a sigmoid."""
        gates = [gate for gate in (self.channel_gate, self.spatial_gate) if gate is not None]
        if self.order == "parallel":
            return [gates]
        return [[gate] for gate in (gates if self.order == "channel-first" else gates[::-1])]

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        if self.spatial_gate is not None:
            self.spatial_gate.check("spatial", x.select(1, 0).shape)

    def network_init_(self) -> None:
        """As in the released ResNet: convolutions He (fan out), biases 0, the norm's scale 0: the spatial gate is 0.5.

        The linear layers keep PyTorch's weights.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.zeros_(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, order={self.order}"


class ChannelGate(nn.Module):
    """The logits of M_c: the shared bottleneck on every pooled vector, its outputs added."""

    def __init__(self, channels: int, hidden: int, pools: tuple[str, ...], bias: bool) -> None:
        super().__init__()
        self.pools = pools
        self.reduce = nn.Linear(channels, hidden, bias=bias)  # W_0
        self.expand = nn.Linear(hidden, channels, bias=bias)  # W_1

    def pool(self, x: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N C 1 1"]]:
        """The vectors that the bottleneck takes."""
        # `max` rather than `amax`: the first of equal maxima gets the gradient, as in the released pooling.
        found = {
            "avg": lambda: x.mean((2, 3), keepdim=True),
            "max": lambda: x.flatten(2).max(2).values[..., None, None],
        }
        return [found[pool]() for pool in POOLS if pool in self.pools]

    def forward(self, *vectors: Tensor) -> Float[Tensor, "N C 1 1"]:
        logits = sum(self.expand(torch.relu(self.reduce(z.flatten(1)))) for z in vectors)
        return logits[:, :, None, None]

    def extra_repr(self) -> str:
        return f"pools={self.pools}"


class SpatialGate(PooledGate):
    """The logits of M_s: one k x k convolution and a norm on what the descriptor keeps of the channels."""

    def __init__(self, channels: int, kernel_size: int, descriptor: str, norm: bool) -> None:
        super().__init__(2 if descriptor == "max-avg" else 1, kernel_size, norm)
        self.descriptor = nn.Conv2d(channels, 1, 1, bias=False) if descriptor == "conv" else None

    def pool(self, x: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N maps H W"]]:
        """The maps that the convolution takes."""
        if self.descriptor is not None:
            return [self.descriptor(x)]
        return [torch.cat([x.max(1, keepdim=True).values, x.mean(1, keepdim=True)], 1)]
