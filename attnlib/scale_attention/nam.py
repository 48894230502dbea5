"""Normalization-based attention (NAM): Liu, Shao, Teng and Hoffmann, NeurIPS 2021 workshop, arXiv 2111.12419.

The scales of one more batch norm, divided by their sum, weight the normalised map before a sigmoid gate. Status: at its
initialisation the gate is 0.5 to within |z| / (4 C), so that the module starts as a halving of the residual branch:
compare it with a constant gate of 0.5. The released penalty on the scales is never applied; `sparsity_penalty` is.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_count, check_flag, check_map, check_size, may_be_read
from attnlib.scale_attention.norms import check_affine, check_values, counted


class NAM(ScaleAttention):
    """Gate every value by its normalised self, weighted by its channel's share of all scales.

        channel part   y = x * sigmoid(w_c B(x)),      w_c = |gamma_c| / sum_j |gamma_j|
        spatial part   y * sigmoid(w_i B_s(y)),        w_i = |lambda_i| / sum_j |lambda_j|

    B is a batch norm (statistics over N, H, W; scales gamma, one per channel), B_s a batch norm whose channels are the
    H W positions (statistics over N, C; scales lambda, one per position).

    Args:
        channels: number of channels C of the map.
        spatial: the spatial part, on the output of the channel part. The paper has it, the released code dropped it.
        size: (H, W) of the map, or the side of a square one; the spatial part has one scale per position, so that it is
            tied to one size.
        detach_scale: take the weights w as constants in back-propagation, as the released code does (it reads `.data`).
            The paper's formula has no such stop: `False` lets the gradient through.
        signed: divide the scales by their sum without absolute values, as the paper's formula is written. Undefined
            where the sum is 0.
        channel: the channel part; without it only the spatial one is left.

    Shapes: x, the gate and the output (N, C, H, W).

    Parameters: 2 C for the channel part, 2 H W for the spatial part.

    Raises:
        ValueError: neither part chosen, a spatial part without a size or a size without one, a map of another shape;
            in train mode a single value per scale; a norm in its norms' place that has no weight.
        TypeError: channels or size are not integers; an input that is not floating point.

    A plain norm is read rather than called; one that is hooked, parametrised, of another class, or an nn.SyncBatchNorm
    among several processes is called.

    Where the released code differs from the paper: absolute values, the stop-gradient, no spatial part; and it
    multiplies the input by the sigmoid, where the paper's equations stop at the sigmoid.
    """

    def __init__(
        self,
        channels: int,
        spatial: bool = False,
        size: int | tuple[int, int] | None = None,
        detach_scale: bool = True,
        signed: bool = False,
        channel: bool = True,
    ) -> None:
        check_count("channels", channels)
        flags = {"channel": channel, "spatial": spatial, "detach_scale": detach_scale, "signed": signed}
        for name, flag in flags.items():
            check_flag(name, flag)
        if not (channel or spatial):
            raise ValueError("channel=False and spatial=False leave no part; choose one or both")
        if spatial and size is None:
            raise ValueError("spatial=True needs size=(H, W): it has one scale per position")
        if size is not None and not spatial:
            raise ValueError(f"size={size} is for the spatial part alone; pass spatial=True or leave size out")
        if spatial:
            size = check_size("size", size)
        super().__init__(channels)
        self.size = size
        self.detach_scale, self.signed = detach_scale, signed
        self.channel_norm = nn.BatchNorm2d(channels) if channel else None  # B, with gamma as its weight
        self.spatial_norm = nn.BatchNorm1d(size[0] * size[1]) if spatial else None  # B_s, with lambda as its weight

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        if self.spatial_norm is None:
            return self.channel_gate(x)
        if self.channel_norm is None:
            return self.spatial_gate(x)
        channel_gate = self.channel_gate(x)
        return channel_gate * self.spatial_gate(x * channel_gate)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        if self.channel_norm is not None:
            x = x * self.channel_gate(x)
        return x if self.spatial_norm is None else x * self.spatial_gate(x)

    def channel_gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """sigmoid(w_c B(x))."""
        return torch.sigmoid(self._weighted(self.channel_norm, x)).to(x.dtype)

    def spatial_gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """sigmoid(w_i B_s(x)): each channel of each image is a row of H W values, one for each scale."""
        rows = x.reshape(-1, math.prod(self.size))
        return torch.sigmoid(self._weighted(self.spatial_norm, rows)).view_as(x).to(x.dtype)

    def _weighted(self, norm: nn.Module, x: Float[Tensor, "N scales *size"]) -> Float[Tensor, "N scales *size"]:
        """w B(x). A plain norm's scale and shift take the weight in, so that x is read once for both."""
        weight = self.scale_weights(norm.weight)
        if not may_be_read(norm):
            return weight.view(-1, *[1] * (x.dim() - 2)) * norm(x)
        share = counted(norm) if norm.training else 0.0
        scale, shift = weight * norm.weight, weight * norm.bias
        return F.batch_norm(x, norm.running_mean, norm.running_var, scale, shift, norm.training, share, norm.eps)

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        if self.size is not None and x.shape[2:] != self.size:
            raise ValueError(
                f"this NAM has one scale per position of a {self.size[0]} x {self.size[1]} map, got {tuple(x.shape)}; "
                f"build it with size={tuple(x.shape[2:])}"
            )
        positions = math.prod(self.size or ())
        for part, norm, scales in (
            ("channel", self.channel_norm, self.channels),
            ("spatial", self.spatial_norm, positions),
        ):
            if norm is not None:
                check_affine(f"NAM's {part} part", norm, "weight")
                check_values(f"NAM's {part} part", norm, x.numel() // scales, x.shape)

    def scale_weights(self, scale: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """w: each scale's share of their sum; all zero where every scale is zero, so that the gate is then 0.5."""
        if self.detach_scale:
            scale = scale.detach()
        if self.signed:
            return scale / scale.sum()
        magnitude = scale.abs()
        return magnitude / magnitude.sum().clamp_min(torch.finfo(scale.dtype).tiny)

    def network_init_(self) -> None:
        """Scales 1 and shifts 0, as the released network's loop over its batch norms sets them."""
        for norm in (self.channel_norm, self.spatial_norm):
            if norm is not None:
                nn.init.ones_(norm.weight)
                nn.init.zeros_(norm.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, size={self.size}, detach_scale={self.detach_scale}, signed={self.signed}"


def sparsity_penalty(model: nn.Module, strength: float = 1e-4) -> Float[Tensor, ""]:
    """The penalty of the paper's loss: p (sum |gamma| + sum |lambda|) over every NAM in `model`; add it to the loss.

    Args:
        model: a network with NAM modules.
        strength: the paper's p: 1e-4 on CIFAR-100, 1e-3 on ImageNet.

    Raises:
        ValueError: a negative strength, or a model without NAM.

    Where the released code differs: it adds p sign(gamma) to the gradients, the same thing, but looks for the norms
    among the children of a DataParallel wrapper, where there are none, so that its penalty changes no gradient.
    """
    if not strength >= 0:
        raise ValueError(f"strength must be 0 or more, got {strength}; the paper uses 1e-4 on CIFAR-100")
    norms = [
        n for m in model.modules() if isinstance(m, NAM) for n in (m.channel_norm, m.spatial_norm) if n is not None
    ]
    if not norms:
        raise ValueError(f"{type(model).__name__} has no NAM module whose scales could be penalised; attach NAM first")
    return strength * torch.stack([norm.weight.abs().sum() for norm in norms]).sum()
