"""Triplet attention (TAM): Misra, Nalamada, Arasanipalai and Hou, WACV 2021, arXiv 2010.03045.

The spatial gate of CBAM looks along height and width. Here it also looks along channels and width, and along height and
channels; the map is multiplied by the mean of the three gates. Status: 300 parameters whatever the width; two of its
gates slide a kernel over the channels, so that the order of the channels matters.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import kernels
from attnlib.base import ScaleAttention, check_count, check_flag, check_map, check_odd
from attnlib.kernels.triplet import attended, convolved_in_bands
from attnlib.scale_attention.pooled_gate import PooledGate

# Branch -> the axis that is pooled away. It changes places with the channels, and the gate's map is what is left, in
# the released order: (C, W) of (N, H, C, W), (H, C) of (N, W, H, C), (H, W) of (N, C, H, W).
BRANCHES = {"channel_width": 2, "channel_height": 3, "spatial": 1}


class Triplet(ScaleAttention):
    """Gate every value by the mean of three gates, one for each pair of axes.

        y = x * (g_CW + g_HC + g_HW) / 3,      g = sigmoid(BN(f_kxk([max; mean])))

    The maximum and the mean are taken over the axis that is not in the pair; f has no bias, BN one channel.

    Args:
        channels: number of channels C of the map.
        kernel_size: the paper's k: 7 in its ResNets, 3 in the better of its MobileNets.
        channel_width: the C-W branch: pooled over H, the kernel's first axis runs over C, the second over W.
        channel_height: the H-C branch: pooled over W, the kernel's first axis runs over H, the second over C.
        spatial: the H-W branch; without it the mean is over the other two.

    Shapes: x and the output (N, C, H, W); the gate broadcasts to it, over the axis of a branch that is alone.

    Parameters: 2 k^2 + 2 for every branch, 300 with k = 7, whatever C.

    Raises:
        ValueError: an even kernel, no branch, a map of another shape; in train mode a gate of a single value.
        TypeError: channels or kernel_size is not an integer, a branch is not True or False; an input that is not
            floating point.

    Source: equations for Z-pool, the branches and their mean in Section 3 of the paper.

    Where the released code differs: the paper counts 6 k^2 parameters and leaves out the norms' 6; it speaks of
    rotations where the code permutes; its MobileNetV2 never passes on the kernel size, so that k is 7 throughout.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 7,
        channel_width: bool = True,
        channel_height: bool = True,
        spatial: bool = True,
    ) -> None:
        check_count("channels", channels)
        check_odd("kernel_size", kernel_size)
        chosen = {"channel_width": channel_width, "channel_height": channel_height, "spatial": spatial}
        for name, flag in chosen.items():
            check_flag(name, flag)
        if not any(chosen.values()):
            raise ValueError("channel_width=False, channel_height=False and spatial=False leave no branch; choose one")
        super().__init__(channels)
        # No norm is shared: every branch has its own kernel and statistics.
        self.branches = nn.ModuleDict({name: PooledGate(2, kernel_size) for name, flag in chosen.items() if flag})

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, " N #C #H #W"]:
        self._check(x)
        pools = [(x.mean(axis, keepdim=True), x.max(axis, keepdim=True).values) for axis in self._axes()]
        first, *others = self._shares(pools)
        return sum(others, start=first).to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        convolutions = [branch.conv for branch in self.branches.values()]
        if not kernels.serves(x, *self.parameters(), layers=convolutions):
            return x * self.gate(x)
        self._check(x)
        return attended(x, self._axes(), lambda pools: self._shares(pools, convolved_in_bands))

    def _shares(
        self, pools: list[tuple[Tensor, Tensor]], convolve: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> list[Tensor]:
        """Each branch's part of the gate, from mean and maximum over its axis: g / number of branches."""
        shares = []
        for branch, axis, (mean, largest) in zip(self.branches.values(), self._axes(), pools, strict=True):
            z = torch.cat([largest, mean], axis).transpose(1, axis)
            g = torch.sigmoid(branch(z, convolve)).transpose(1, axis)
            shares.append(g / len(self.branches))
        return shares

    def _axes(self) -> list[int]:
        """What each branch pools away."""
        return [BRANCHES[name] for name in self.branches]

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        for name, branch in self.branches.items():
            branch.check(name, x.select(BRANCHES[name], 0).shape)

    def network_init_(self) -> None:
        """As in the released ResNet: kernels He (fan out), norms 1 and 0, but the H-W branch's norm starts at 0.

        Its gate is then 0.5 everywhere; the other two branches' are not.
        """
        for name, branch in self.branches.items():
            nn.init.kaiming_normal_(branch.conv.weight, mode="fan_out")
            nn.init.constant_(branch.norm.weight, 0.0 if name == "spatial" else 1.0)
            nn.init.zeros_(branch.norm.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}"
