"""Instance enhancement batch normalization (IEBN): Liang, Huang, Liang and Yang, AAAI 2020, arXiv 1908.04008.

A batch norm whose gain every image sets for itself: each channel's mean, through a sigmoid of two more parameters,
multiplies the norm's scale. Status: does what the paper says. At the start it is a batch norm with a gain of
sigmoid(-1) = 0.269 whatever the image: compare it with a batch norm that starts at that scale.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib import kernels
from attnlib.base import ScaleAttention, at_least_float32, check_count, check_map, check_number, may_be_read
from attnlib.kernels.iebn import normalised
from attnlib.scale_attention.norms import check_affine, check_values, track


class IEBN(ScaleAttention):
    """A batch norm in place of nn.BatchNorm2d, its scale multiplied by a gate of the image's own channel means.

        m_nc      = mean over H, W of x_nc, before any normalisation
        delta_nc  = sigmoid(gate_scale_c m_nc + gate_shift_c)
        y_nc      = weight_c delta_nc (x_nc - mu_c) / sqrt(var_c + eps) + bias_c

    mu and var are the batch's in train mode (var biased; the running one takes the unbiased), the running ones in eval
    mode. The shift is not gated, and the gate uses the image's own mean in both modes.

    Args:
        channels: number of channels C of the map.
        eps: added to the variance.
        momentum: the share of a batch in the running statistics; None averages over all batches, as in
            nn.BatchNorm2d.

    Shapes: x and the output (N, C, H, W); the gate delta (N, C, 1, 1). The output is not x times the gate.

    Parameters: 4 C: gate_scale and gate_shift (the paper's gamma-hat and beta-hat, at first 0 and -1) beside the norm's
    weight and bias (gamma and beta); 2 C more than the batch norm it stands for.

    Raises:
        ValueError: eps not above 0, a momentum outside of 0 to 1; a map of another shape; in train mode a single value
            per channel; a norm in its norm's place that has no weight or bias.
        TypeError: channels is not an integer, eps or momentum no number; an input that is not floating point.

    A plain norm is read rather than called; one that is hooked, parametrised, of another class, or an nn.SyncBatchNorm
    among several processes is called. The means of the gate are each image's own in any case.

    Where the released code differs: its parameters have shape (1, C, 1, 1), here (C) as in nn.BatchNorm2d; it never
    moves num_batches_tracked, here it counts as in nn.BatchNorm2d. The released network keeps plain batch norms in its
    shortcuts, where the paper replaces all.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: int | float | None = 0.1) -> None:
        check_count("channels", channels)
        check_number("eps", eps, "the released code uses 1e-5", above=0)
        if momentum is not None:
            check_number("momentum", momentum, "the released code uses 0.1", between=(0, 1))
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(channels, eps, momentum)
        self.gate_scale = nn.Parameter(torch.zeros(channels))
        self.gate_shift = nn.Parameter(torch.full((channels,), -1.0))

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C 1 1"]:
        check_map(x, self.channels)
        return self._gate(at_least_float32(x).mean((2, 3), keepdim=True)).to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        check_affine("IEBN", self.norm, "weight", "bias")
        check_values("IEBN", self.norm, x.numel() // self.channels, x.shape)
        norm, bias = self.norm, self.norm.bias.view(-1, 1, 1)
        if not may_be_read(norm):  # the layer is called: it gives weight x_hat + bias, of which the first is gated
            return ((norm(x) - bias) * self.gate(x) + bias).to(x.dtype)
        if kernels.serves(x, *self.parameters()):
            y, mean, variance = normalised(x, self._gate, norm.weight, norm.bias, norm.eps, self._running())
        else:
            exact = at_least_float32(x)
            means = exact.mean((2, 3), keepdim=True)
            mean, variance = self._running() or (exact.mean((0, 2, 3)), exact.var((0, 2, 3), correction=0))
            scale = (norm.weight * torch.rsqrt(variance + norm.eps)).view(-1, 1, 1) * self._gate(means)
            y = x * scale + (bias - mean.view(-1, 1, 1) * scale)
        if norm.training:
            track(norm, mean, variance, x.numel() // self.channels)
        return y.to(x.dtype)

    def _gate(self, means: Float[Tensor, "N C 1 1"]) -> Float[Tensor, "N C 1 1"]:
        """delta of the channel means of each image."""
        return torch.sigmoid(self.gate_scale.view(-1, 1, 1) * means + self.gate_shift.view(-1, 1, 1))

    def _running(self) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]] | None:
        """Mean and variance in eval mode; in train mode they are the batch's."""
        return None if self.norm.training else (self.norm.running_mean, self.norm.running_var)

    def extra_repr(self) -> str:
        return f"{self.channels}"
