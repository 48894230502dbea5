"""Dot-product attention: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, NIPS 2017.

Every position is compared with every other by dot products, and each takes an average of all values, weighted by its
comparisons (arXiv 1706.03762). Status: the operation that the other modules of this family vary. From the steps without
any parameter to multi-head self-attention over the pixels of a map.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attnlib.base import (
    SelfAttention,
    check_choice,
    check_count,
    check_divides,
    check_flag,
    check_map,
    check_queries,
    check_size,
)
from attnlib.self_attention.position_codes import RelativePositions, sinusoidal_map
from attnlib.self_attention.positions import attention, to_map, to_positions

POSITIONS = ("none", "sinusoidal", "learned", "relative")
TIED = ("learned", "relative")  # have parameters for the positions of a map of one size


def self_similarity(x: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch n d"]:
    """softmax(x x^T) x: each of the n rows becomes an average of all, the more alike the heavier. No parameters."""
    return scaled_dot_product(x, x, x, scale=1.0)


def scaled_dot_product(
    query: Float[Tensor, "*batch queries d"],
    key: Float[Tensor, "*batch keys d"],
    value: Float[Tensor, "*batch keys values"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | Float[Tensor, "*#batch #queries #keys"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "*batch queries values"]:
    """softmax(scale query key^T) value, equation (1), step by step; see `attention_weights` for mask and scale.

    `torch.nn.functional.scaled_dot_product_attention` computes the same, and mostly without ever holding all weights.

    Raises:
        ValueError: as `attention_weights`; another number of values than of keys.
        TypeError: as `attention_weights`.
    """
    if value.dim() < 2 or key.shape[-2:-1] != value.shape[-2:-1]:
        raise ValueError(f"each key needs one value, got keys {tuple(key.shape)} and values {tuple(value.shape)}")
    return attention_weights(query, key, mask, scale) @ value


def attention_weights(
    query: Float[Tensor, "*batch queries d"],
    key: Float[Tensor, "*batch keys d"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | Float[Tensor, "*#batch #queries #keys"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """softmax over the keys of scale * query key^T: what each query takes from each key.

    Args:
        query, key: vectors of the same length d.
        mask: boolean, True where a query may attend to a key, or floating point, added to the scores; the opposite of
            the boolean masks of `torch.nn.MultiheadAttention`. What is masked gets exactly no weight. A query that may
            attend to nothing gets zeros, where a plain softmax would give NaN.
        scale: 1 / sqrt(d) by default: products of unit normal vectors have variance d.

    Raises:
        ValueError: query or key is no set of vectors, there is no key, or their vectors differ in length.
        TypeError: a mask that is no tensor, or one of integers, which could mean either.
    """
    if min(query.dim(), key.dim()) < 2 or query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "query and key must have shapes (..., vectors, d) with one length d, "
            f"got {tuple(query.shape)} and {tuple(key.shape)}"
        )
    if key.shape[-2] == 0:
        raise ValueError(f"there is no key to attend to, got key of shape {tuple(key.shape)}; give one or more")
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is None:
        return torch.softmax(scores, -1)
    if not isinstance(mask, Tensor) or not (mask.dtype == torch.bool or mask.is_floating_point()):
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(
            f"mask must be a boolean tensor (True: may attend) or a floating point one (added), got {kind}; convert "
            "it, e.g. by mask.bool()"
        )
    if mask.dtype == torch.bool:
        blocked = ~mask
    else:
        blocked = mask == -torch.inf
        scores = scores + mask.masked_fill(blocked, 0)
    # Where all is blocked the softmax runs over the bare scores, so that no NaN ever arises, and counts for nothing.
    everything = blocked.all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(blocked & ~everything, -torch.inf), -1)
    return weights.masked_fill(blocked, 0)


class MultiHeadSelfAttention(SelfAttention):
    """Let every pixel attend to all pixels, in several subspaces side by side.

        head_i = softmax(Q_i K_i^T / sqrt(d)) V_i,   Q_i, K_i, V_i = X W_i^Q, X W_i^K, X W_i^V
        output = [head_1; ...; head_h] W^O

    X has one row per pixel. The i-th head has channels i d to (i + 1) d of each projection, d = C / h.

    Args:
        channels: number of channels C of the map, the paper's d_model.
        heads: the paper's h; it divides C.
        bias: biases in the four projections. The formulas have none; PyTorch's own module has. Its `bias_k`, `bias_v`
            and `add_zero_attn`, keys and values of no pixel, are not offered: the paper has none.
        positions: how pixels know where they are.
            "none": they do not; exchanging pixels exchanges the output.
            "sinusoidal": the paper's code, added to the map: half the channels for the row, half for the column.
            "learned": one learned vector per pixel, added to the map (Table 3, row E).
            "relative": learned vectors r for the offsets in rows and columns, shared by the heads; the score of i and j
                is q_i . (k_j + r_row + r_column) / sqrt(d).
        size: (H, W) or the side of a square: of the map for "learned", of the largest map for "relative".

    Shapes: x and the output (N, C, H, W); the weights (N, heads, queries, H W). The output's channels lie last in
    memory. Under autocast the output has autocast's type.

    Parameters: 4 C^2 whatever the heads, with biases 4 C more; "learned" C H W more, "relative" d (2 H + 2 W - 2) more.

    Raises:
        ValueError: heads that do not divide C, unknown positions, "sinusoidal" with C no multiple of 4, a size missing
            or without use; a map of another shape, or of another size than its positions have.
        TypeError: channels, heads or size is not an integer; an input that is not floating point.

    Source: Sections 3.2 and 3.5, equation (1). The paper has sequences; two dimensions of the sinusoidal code and the
    start of learned vectors (normal, of length about 1) are choices made here.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        bias: bool = False,
        positions: str = "none",
        size: int | tuple[int, int] | None = None,
    ) -> None:
        check_count("channels", channels)
        check_divides("heads", heads, channels)
        check_flag("bias", bias)
        check_choice("positions", positions, POSITIONS)
        if positions == "sinusoidal" and channels % 4:
            raise ValueError(
                f"channels={channels} does not fit positions='sinusoidal': sine and cosine of row and column need a "
                "multiple of 4"
            )
        if positions in TIED and size is None:
            raise ValueError(f"positions={positions!r} needs size=(H, W): it has vectors for the positions of a map")
        if positions not in TIED and size is not None:
            raise ValueError(f"size={size} has no use with positions={positions!r}; leave it out")
        super().__init__(channels)
        self.heads, self.positions = heads, positions
        self.size = None if size is None else check_size("size", size)
        self.scale = (channels // heads) ** -0.5
        self.query = nn.Linear(channels, channels, bias)  # W^Q of all heads
        self.key = nn.Linear(channels, channels, bias)  # W^K
        self.value = nn.Linear(channels, channels, bias)  # W^V
        self.out = nn.Linear(channels, channels, bias)  # W^O
        if positions == "learned":
            self.position = nn.Parameter(torch.empty(channels, *self.size))
            nn.init.normal_(self.position, std=channels**-0.5)
        if positions == "relative":
            self.offsets = RelativePositions(channels // heads, self.size)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        rows = self._rows(x)
        query, key = self._query_and_key(rows, x.shape[2:])
        value = self._split(self.value(rows))
        if self.positions == "relative":
            # The kernels that never hold all weights want values as long as the queries.
            value = F.pad(value, (0, query.shape[-1] - value.shape[-1]))
        y = attention(query, key, value, self.scale)[..., : self.channels // self.heads]
        return to_map(self.out(y.transpose(1, 2).flatten(2)), x.shape[2:])

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N heads Q keys"]:
        rows = self._rows(x)
        check_queries(queries, rows.shape[1])
        query, key = self._query_and_key(rows, x.shape[2:])
        return attention_weights(query if queries is None else query[:, :, queries], key, scale=self.scale)

    def _rows(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N HW C"]:
        """X: the pixels in rows, with what is added to say where they are."""
        self._check(x)
        if self.positions == "sinusoidal":
            x = x + sinusoidal_map(*x.shape[2:], self.channels, like=x).to(x.dtype)
        elif self.positions == "learned":
            x = x + self.position
        return to_positions(x)

    def _query_and_key(
        self, rows: Float[Tensor, "N HW C"], size: torch.Size
    ) -> tuple[Float[Tensor, "N heads HW longer"], Float[Tensor, "N heads HW longer"]]:
        query, key = self._split(self.query(rows)), self._split(self.key(rows))
        return self.offsets(query, key, *size) if self.positions == "relative" else (query, key)

    def _split(self, rows: Float[Tensor, "N HW C"]) -> Float[Tensor, "N heads HW d"]:
        """The channels of each head on their own."""
        return rows.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _check(self, x: Tensor) -> None:
        check_map(x, self.channels)
        if self.size is None:
            return
        height, width = x.shape[2:]
        exact = self.positions == "learned"
        if (height, width) != self.size if exact else height > self.size[0] or width > self.size[1]:
            raise ValueError(
                f"positions={self.positions!r} was built for maps of {'' if exact else 'at most '}"
                f"{self.size[0]} x {self.size[1]}, got shape {tuple(x.shape)}; build it with size={(height, width)}"
            )

    def extra_repr(self) -> str:
        return f"{self.channels}, heads={self.heads}, positions={self.positions}, size={self.size}"
