"""Squeeze-and-Excitation: Hu, Shen, Albanie, Sun and Wu, CVPR 2018; journal version arXiv 1709.01507v4.

Each channel is summarised by its mean, a two-layer bottleneck turns the C means into C gates, and the map is multiplied
channel by channel. Status: does what the paper says; cheap in multiply-adds, dear in parameters (2 C^2 / r per block).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_choice, check_count, check_flag, check_map, check_reduction

SQUEEZES = ("avg", "max", "none")
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


class SE(ScaleAttention):
    """Gate every channel by a bottleneck of all channel means: s = sigmoid(W_2 relu(W_1 z)), equations 2 to 4.

    Args:
        channels: number of channels C of the map.
        reduction: the paper's r; the hidden layer has floor(C / r) units, at least 1 (C >= r).
        bias: biases b_1, b_2 in the two layers, as in the released models. The paper's equation and its ablation tables
            have none: `bias=False`.
        squeeze: how z summarises a channel. "avg" is the paper's mean; "max" its maximum (Table 11); "none" keeps every
            pixel, so that the bottleneck acts as two 1 x 1 convolutions on the map (Section 7.1, "NoSqueeze").
        activation: of the gate: "sigmoid" (the paper's), "tanh" or "relu" (Table 12).

    Shapes: x and the output (N, C, H, W); the gate (N, C, 1, 1), with squeeze="none" (N, C, H, W).

    Parameters: 2 C floor(C / r), with biases C + floor(C / r) more.

    Raises:
        ValueError: C < r, r < 1, or an unknown squeeze or activation; a map of another shape.
        TypeError: channels or reduction is not an integer; an input that is not floating point.

    Where the released code differs: the Caffe models have biases, the paper's equation (3) has not.
    """

    def __init__(
        self, channels: int, reduction: int = 16, bias: bool = True, squeeze: str = "avg", activation: str = "sigmoid"
    ) -> None:
        check_count("channels", channels)
        hidden = check_reduction(channels, reduction)
        check_flag("bias", bias)
        check_choice("squeeze", squeeze, SQUEEZES)
        check_choice("activation", activation, ACTIVATIONS)
        super().__init__(channels)
        self.reduction, self.squeeze, self.activation = reduction, squeeze, activation
        # 1 x 1 convolutions rather than linear layers: the same two matrices serve all three squeezes.
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=bias)  # W_1
        self.expand = nn.Conv2d(hidden, channels, 1, bias=bias)  # W_2

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C #H #W"]:
        check_map(x, self.channels)
        if self.squeeze == "avg":
            z = x.mean((2, 3), keepdim=True)
        elif self.squeeze == "max":
            # Not amax, which would share the gradient among equal maxima: the first one gets it all.
            z = x.flatten(2).max(-1).values[..., None, None]
        else:
            z = x
        s = self.expand(torch.relu(self.reduce(z)))
        return ACTIVATIONS[self.activation](s).to(x.dtype)

    def network_init_(self) -> None:
        """He initialisation of both layers, as the paper initialises its networks; biases start at 0."""
        for layer in (self.reduce, self.expand):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, reduction={self.reduction}, squeeze={self.squeeze}, activation={self.activation}"
