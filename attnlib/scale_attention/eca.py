"""Efficient channel attention (ECA): Wang, Wu, Zhu, Li, Zuo and Hu, CVPR 2020, arXiv 1910.03151.

Each channel's gate comes from the means of its few neighbouring channels, by one short kernel that slides over all
channels. Status: works as described. The 80 parameters that the paper gives for ResNet-50 are kernels set by hand for
each stage (3, 5, 5, 7); its own formula gives 86. The order of the channels has no meaning before training.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_count, check_flag, check_map, check_number, check_odd

GAMMA, B = 2, 1  # of the paper's rule


class ECA(ScaleAttention):
    """Gate every channel by a weighted sum over the means y of its k neighbours: s = sigmoid(C1D_k(y)).

        one kernel for all channels   s_i = sigmoid(sum_j w_j  y_(i + j - (k+1)/2)),   j = 1 ... k
        not shared (ECA-NS)           s_i = sigmoid(sum_j w_ij y_(i + j - (k+1)/2))

    Beyond the first and the last channel y is 0.

    Args:
        channels: number of channels C of the map.
        kernel_size: the paper's k, odd. By default it follows from C: with t = floor(|(log2(C) + b) / gamma|), k is t
            where t is odd and t + 1 where it is even (3 for C = 64, 5 for 128 to 1024, 7 for 2048). That is the
            paper's rule, not what gave its numbers: the published ResNets set k for each stage by hand, 3, 5, 5, 7 in
            ResNet-50, 3, 3, 5, 7 in ResNet-101.
        gamma, b: of that rule; not to be given beside kernel_size.
        shared: one kernel for all channels. `False` gives every channel its own: ECA-NS of the paper's Table 2.

    Shapes: x and the output (N, C, H, W); the gate (N, C, 1, 1).

    Parameters: k; not shared k C.

    Raises:
        ValueError: an even kernel_size, gamma not above 0, gamma or b beside kernel_size; a map of another shape.
        TypeError: channels or kernel_size is not an integer, gamma or b no number; an input that is not floating point.

    Source: the kernel and the forms of Table 2 from the paper; rounding up to odd from its listing, where the text's
    "nearest odd number" leaves C = 128 open. Where the released code differs: the ResNets that produced the published
    numbers do not follow the rule but set k for each stage (kernel_size); the kernel keeps PyTorch's initialisation.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        gamma: int | float = GAMMA,
        b: int | float = B,
        shared: bool = True,
    ) -> None:
        check_count("channels", channels)
        check_flag("shared", shared)
        if kernel_size is None:
            kernel_size = adaptive_kernel_size(channels, gamma, b)
        elif (gamma, b) != (GAMMA, B):
            raise ValueError(
                f"kernel_size={kernel_size} leaves gamma={gamma} and b={b} without effect; pass kernel_size, or gamma "
                "and b"
            )
        check_odd("kernel_size", kernel_size)
        super().__init__(channels)
        self.shared = shared
        if shared:
            self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)  # w
        else:
            self.conv = nn.Conv1d(channels, channels, kernel_size, groups=channels, bias=False)  # w_i

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C 1 1"]:
        check_map(x, self.channels)
        y = x.mean((2, 3))
        if self.shared:
            logits = self.conv(y.unsqueeze(1)).transpose(1, 2)
        else:
            padded = nn.functional.pad(y, (self.conv.kernel_size[0] // 2,) * 2)
            logits = self.conv(padded.unfold(1, self.conv.kernel_size[0], 1))  # of each channel's own k neighbours
        return torch.sigmoid(logits).unsqueeze(-1).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.channels}"


def adaptive_kernel_size(channels: int, gamma: int | float = GAMMA, b: int | float = B) -> int:
    """k of the paper's rule for a number of channels: it grows with their logarithm.

    Raises:
        TypeError: gamma or b is not a number.
        ValueError: gamma is not above 0, or one of them not finite.
    """
    check_number("gamma", gamma, f"the paper uses {GAMMA}", above=0)
    check_number("b", b, f"the paper uses {B}")
    t = int(abs((math.log2(channels) + b) / gamma))
    return t if t % 2 else t + 1
