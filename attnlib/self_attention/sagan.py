"""SAGAN's self-attention: Zhang, Goodfellow, Metaxas and Odena, ICML 2019, arXiv 1805.08318.

A non-local block with narrow queries and keys, whose output enters through one learned scalar that starts at zero.
Status: the identity at the start; the authors' code is not the layer of the text (wider values, pooled keys), and an
author of a later GAN holds that where they differ the code is right.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.base import SelfAttention, check_choice, check_count, check_map, check_queries
from attnlib.self_attention.positions import attend, chosen_weights, to_map, to_positions

FORMS = ("released", "text")


class SAGAN(SelfAttention):
    """y_j = x_j + gamma W_v sum_i beta_{j,i} W_h x_i, with beta_{j,i} = softmax over i of (W_f x_i) . (W_g x_j).

    No scale and no biases.

    Args:
        channels: number of channels C of the map, 8 or more.
        form: "released" is the authors' code: W_f, W_g of floor(C / 8) channels, W_h of floor(C / 2), and what W_f and
            W_h give is max-pooled 2 x 2 (a last odd row or column left out). "text" is the paper: all of floor(C / 8)
            channels, nothing pooled.

    Shapes: x and the output (N, C, H, W); the weights (N, 1, Q, keys).

    Parameters: 1.25 C^2 + 1 where 8 divides C; form="text" C^2 / 2 + 1.

    Raises:
        ValueError: fewer than 8 channels, an unknown form; a map of another shape, with form="released" a side below 2.
        TypeError: channels is not an integer; an input that is not floating point.

    Where the released code differs from the paper: values of C / 2 channels and pooled keys and values, which the text
    never mentions. Both networks of the paper normalise every weight spectrally, these four too: that is for the
    network to do (`spectral_norm` of PyTorch's parametrizations).
    """

    def __init__(self, channels: int, form: str = "released") -> None:
        check_count("channels", channels)
        check_choice("form", form, FORMS)
        if channels < 8:
            raise ValueError(f"channels must be at least 8, got {channels}: queries and keys have floor(channels / 8)")
        super().__init__(channels)
        self.form = form
        narrow = channels // 8
        wide = channels // 2 if form == "released" else narrow
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)  # W_g
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)  # W_f
        self.value = nn.Conv2d(channels, wide, 1, bias=False)  # W_h
        self.out = nn.Conv2d(wide, channels, 1, bias=False)  # W_v
        self.gamma = nn.Parameter(torch.zeros(()))  # without an axis: it takes no part in type promotion

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        self._check(x)
        y = attend(self._queries(x), self._pooled(self.key(x)), self._pooled(self.value(x)), scale=1.0)
        return x + self.gamma * self.out(to_map(y, x.shape[2:]))

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N 1 Q keys"]:
        self._check(x)
        check_queries(queries, x.shape[2:].numel())
        return chosen_weights(self._queries(x), self._pooled(self.key(x)), 1.0, queries)

    def _queries(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N positions width"]:
        return to_positions(self.query(x))

    def _pooled(self, x: Float[Tensor, "N width H W"]) -> Float[Tensor, "N keys width"]:
        """Keys or values, position by position."""
        return to_positions(F.max_pool2d(x, 2) if self.form == "released" else x)

    def _check(self, x: Tensor) -> None:
        check_map(x, self.channels)
        if self.form == "released" and min(x.shape[2:]) < 2:
            raise ValueError(
                f"form='released' pools keys and values 2 x 2: H and W must be at least 2, got shape {tuple(x.shape)}; "
                "use a larger map, or form='text'"
            )

    def network_init_(self) -> None:
        """Xavier initialisation as in the authors' networks; gamma stays zero."""
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.gamma)

    def extra_repr(self) -> str:
        return f"{self.channels}, form={self.form}"
