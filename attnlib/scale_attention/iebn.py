"""Instance enhancement batch normalization (IEBN): Liang, Huang, Liang and Yang, AAAI 2020, arXiv 1908.04008.

A batch norm whose gain every image sets for itself: each channel's mean, through a sigmoid of two more parameters,
multiplies the norm's scale. Status: does what the paper says. At the start it is a batch norm with a gain of
sigmoid(-1) = 0.269 whatever the image: compare it with a batch norm that starts at that scale.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, at_least_float32, check_count, check_map


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
        momentum: the share of a batch in the running statistics.

    Shapes: x and the output (N, C, H, W); the gate delta (N, C, 1, 1). The output is not x times the gate.

    Parameters: 4 C: gate_scale and gate_shift (the paper's gamma-hat and beta-hat, at first 0 and -1) beside the norm's
    weight and bias (gamma and beta); 2 C more than the batch norm it stands for.

    Raises:
        ValueError: eps not above 0, a momentum outside of 0 to 1; a map of another shape; in train mode a single value
            per channel.
        TypeError: channels is not an integer; an input that is not floating point.

    Where the released code differs: its parameters have shape (1, C, 1, 1), here (C) as in nn.BatchNorm2d; it never
    moves num_batches_tracked, here it counts as in nn.BatchNorm2d. The released network keeps plain batch norms in its
    shortcuts, where the paper replaces all.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: int | float = 0.1) -> None:
        check_count("channels", channels)
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}; the released code uses 1e-5")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {momentum}; the released code uses 0.1")
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(channels, eps, momentum)
        self.gate_scale = nn.Parameter(torch.zeros(channels))
        self.gate_shift = nn.Parameter(torch.full((channels,), -1.0))

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C 1 1"]:
        check_map(x, self.channels)
        m = at_least_float32(x).mean((2, 3))
        return torch.sigmoid(self.gate_scale * m + self.gate_shift)[..., None, None].to(x.dtype)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        check_map(x, self.channels)
        norm = self.norm
        if norm.training:
            if x.numel() // self.channels < 2:
                raise ValueError(
                    f"IEBN needs 2 or more values per channel in train mode, got shape {tuple(x.shape)}; "
                    "use a larger batch, or eval mode"
                )
            norm.num_batches_tracked.add_(1)
        normal = F.batch_norm(
            x, norm.running_mean, norm.running_var, None, None, norm.training, norm.momentum, norm.eps
        )
        scale = norm.weight[:, None, None] * self.gate(x)
        return torch.addcmul(norm.bias[:, None, None], normal, scale).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.channels}"
