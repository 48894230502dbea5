"""Switchable excitation (SEM): Zhong, Wen and Qin, Switchable Self-attention Module, 2022, arXiv 2209.05680.

One squeeze, three cheap ways to turn it into gates, and a decision for every image how strongly each of them speaks.
Status: does what the released code does. At the start the gate is about 0.5 * 0.5 * 0.377 = 0.094, so that the residual
branch begins at a tenth of its size: compare it with a constant gate. An operator that is decided away still halves.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_choice, check_count, check_map
from attnlib.scale_attention.eca import adaptive_kernel_size

OPERATORS = ("fc", "cnn", "ie")


class SEM(ScaleAttention):
    """Gate every channel by a product of sigmoids, one for each excitation operator, with weights decided per image.

        decision   w = sigmoid(W_d m + b_d),                       m the channel means
        "fc"       e_1 = W_2 relu(W_1 m + b_1) + b_2,              as in SE
        "cnn"      e_2 = C1D_k(m),                                 as in ECA, its k from the number of channels
        "ie"       e_3 = scale * m + shift,                        as in IEBN
        gate       sigmoid(w_1 e_1) sigmoid(w_2 e_2) sigmoid(w_3 e_3)

    Args:
        channels: number of channels C of the map.
        reduction: r of "fc": its hidden layer has round(C / r) units, halves to the even number as in Python.
        operators: which of the three, and in which order `decision` gives their weights.

    Shapes: x and the output (N, C, H, W); the gate (N, C, 1, 1).

    Parameters: with hidden width h = round(C / r) and n operators: n (C + 1) for the decision, 2 C h + C + h for "fc",
    k for "cnn", 2 C for "ie"; C^2 / 8 + 97 C / 16 + 3 + k with all three and r = 16 dividing C.

    Raises:
        ValueError: no operator, one twice or an unknown one; a reduction that leaves "fc" no hidden unit; a map
            of another shape.
        TypeError: channels or reduction is not an integer, operators no list or tuple; an input that is not floating
            point.

    Source: the paper's figure and the released code, which agree. The code writes the hidden width as round(planes / 4)
    with C = 4 * planes.
    """

    def __init__(self, channels: int, reduction: int = 16, operators: tuple[str, ...] | list[str] = OPERATORS) -> None:
        check_count("channels", channels)
        check_count("reduction", reduction)
        if not isinstance(operators, list | tuple):
            raise TypeError(f"operators must be a list or tuple such as {OPERATORS}, got {operators!r}")
        for operator in operators:
            check_choice("operator", operator, OPERATORS)
        if not operators or len(set(operators)) < len(operators):
            raise ValueError(f"operators must be some of {OPERATORS}, each at most once, got {operators!r}")
        hidden = hidden_units(channels, reduction) if "fc" in operators else 0
        super().__init__(channels)
        self.reduction = reduction
        build = {
            "fc": lambda: nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)),
            "cnn": lambda: AlongChannels(adaptive_kernel_size(channels)),
            "ie": lambda: PerChannel(channels),
        }
        self.decide = nn.Linear(channels, len(operators))  # W_d, b_d
        self.operators = nn.ModuleDict({operator: build[operator]() for operator in operators})

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C 1 1"]:
        check_map(x, self.channels)
        m = x.mean((2, 3))
        weights = torch.sigmoid(self.decide(m))
        gate = 1.0
        for weight, operator in zip(weights.unbind(1), self.operators.values(), strict=True):
            gate = gate * torch.sigmoid(weight.unsqueeze(1) * operator(m))
        return gate[..., None, None].to(x.dtype)

    def decision(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N n"]:
        """w: how strongly each operator speaks for each image, in the order of `operators`."""
        check_map(x, self.channels)
        return torch.sigmoid(self.decide(x.mean((2, 3))))

    def extra_repr(self) -> str:
        return f"{self.channels}, reduction={self.reduction}"


def hidden_units(channels: int, reduction: int) -> int:
    """round(channels / reduction), the width of "fc".

    Raises:
        ValueError: no hidden unit is left.
    """
    hidden = round(channels / reduction)
    if hidden < 1:
        raise ValueError(
            f"reduction={reduction} does not fit channels={channels}: round(channels / reduction) hidden units "
            f"are needed, at least 1; choose a reduction between 1 and {2 * channels - 1}"
        )
    return hidden


class AlongChannels(nn.Conv1d):
    """One kernel without bias that slides over the channels; beyond them are zeros."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, m: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
        return super().forward(m.unsqueeze(1)).squeeze(1)


class PerChannel(nn.Module):
    """A scale, at first 0, and a shift, at first -1, for every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.full((channels,), -1.0))

    def forward(self, m: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
        return self.scale * m + self.shift
