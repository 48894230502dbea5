"""Stand-alone self-attention (SASA): Ramachandran, Parmar, Vaswani, Bello, Levskaya and Shlens, NeurIPS 2019,
arXiv 1906.05909.

Every pixel takes a weighted sum over the k x k window around it, in place of a k x k convolution. Status: no official
code was ever published; the paper's text and its printed parameter counts contradict each other (see `projections`).
The paper has one layer a block, in bottlenecks. In basic blocks the default replaces both 3 x 3 convolutions: in
ResNet-20's last stage, before training, the six layers make the gradient 270 times as large as six convolutions do,
through the softmax's shares and not by the norms behind them (`benchmarks/sasa_gradients.py`), and the recipe
`cifar10-slice` does not train them; `placement="layer3.*.conv2"` puts one layer in each block.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.base import (
    SelfAttention,
    check_choice,
    check_count,
    check_divides,
    check_flag,
    check_map,
    check_odd,
    check_queries,
    is_channels_last,
)
from attnlib.self_attention.local import local_attention, local_weights
from attnlib.self_attention.position_codes import sinusoidal_map

POSITIONS = ("relative", "absolute", "none")
BORDERS = ("pad", "mask")
PROJECTIONS = ("dense", "grouped")


class SASA(SelfAttention):
    """Attend to the window around each pixel, in every head (equation 3):

        y_ij = sum over (a, b) in the window of softmax_ab(q_ij . k_ab + q_ij . r_(a-i, b-j)) v_ab
        r_(a-i, b-j) = [row_(a-i); column_(b-j)]

    q, k and v are 1 x 1 projections of x; logits are not scaled, and no projection follows the heads.

    Args:
        channels: number of channels of the input, the paper's d_in.
        out_channels: of the output, d_out; as many as `channels` where None.
        kernel_size: the window's k, odd.
        heads: the paper's N.
        positions: "relative" is equation 3; "none" leaves q . r out (equation 2); "absolute" does, and adds sines and
            cosines of the pixel's row (first half of the channels) and column (second half) to x (Table 5).
        content: q . k in the logit. Without it q . r alone is left, and no key is projected (Table 6).
        border: "pad" lets pixels beyond the border take part, with k = v = 0 but their relative position; "mask" leaves
            them out. The paper does not say; both public ports pad.
        projections: "dense" maps all channels to all, then cuts them into heads. "grouped" gives each head its own
            share of the input, as the text says; but the printed 18.0 M parameters of ResNet-50 need dense ones.
        stride: average pooling of stride x stride pixels after the layer, as in the paper; windows that reach over the
            right and lower border average the pixels they have, so that a map of H rows gives ceil(H / stride), as a
            strided convolution does.

    Shapes: x (N, C, H, W); the output (N, out_channels, H, W), with a stride ceil(H / stride) x ceil(W / stride); the
    weights (N, heads, queries, k * k), before the stride: key a * k + b is the pixel a - k // 2 rows below and
    b - k // 2 columns right of the query. With border="pad" the keys beyond the border hold the padding's share.
    Compiled or exported, it runs in the form that copies every window, which takes several times the memory.
    Exported with a stride, it takes maps that leave two rows and columns or more.

    Parameters: 3 C out_channels + k out_channels. Each head has k row and k column vectors of its own, of
    out_channels / (2 heads) numbers; the paper does not say whether heads share them (k out_channels / heads).

    Raises:
        ValueError: an even kernel; heads that do not divide out_channels (grouped: channels as well); heads of odd
            width with relative, or channels that 4 does not divide with absolute positions; content=False without
            relative positions; an unknown choice; a map of another shape.
        TypeError: a count is not an integer, content is not a bool; an input that is not floating point.

    Where released code differs: there is none of the authors. One public port takes a softmax for every channel instead
    of summing a head's logits and gives half of the heads rows only, the other shares one softmax among all heads.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        kernel_size: int = 7,
        heads: int = 8,
        positions: str = "relative",
        content: bool = True,
        border: str = "pad",
        projections: str = "dense",
        stride: int = 1,
    ) -> None:
        check_count("channels", channels)
        out_channels = channels if out_channels is None else out_channels
        check_count("out_channels", out_channels)
        check_odd("kernel_size", kernel_size)
        check_divides("heads", heads, out_channels, of="out_channels")
        check_choice("positions", positions, POSITIONS)
        check_flag("content", content)
        check_choice("border", border, BORDERS)
        check_choice("projections", projections, PROJECTIONS)
        check_count("stride", stride)
        width = out_channels // heads
        if projections == "grouped":
            check_divides("heads", heads, channels)
        if positions == "relative" and width % 2:
            raise ValueError(
                f"heads={heads} cut {out_channels} channels into heads of {width}: relative positions need an even "
                "number, half for rows and half for columns; use fewer heads or positions='none'"
            )
        if positions == "absolute" and channels % 4:
            raise ValueError(
                f"channels={channels}: absolute positions are sines and cosines of rows and of columns, which needs "
                "a multiple of 4; use another width or positions='relative'"
            )
        if not content and positions != "relative":
            raise ValueError(
                f"content=False with positions={positions!r} leaves nothing in the logits; use positions='relative'"
            )
        super().__init__(channels)
        self.out_channels, self.kernel_size, self.heads, self.stride = out_channels, kernel_size, heads, stride
        self.positions, self.border, self.projections = positions, border, projections

        def projection() -> nn.Conv2d:
            groups = heads if projections == "grouped" else 1
            return nn.Conv2d(channels, out_channels, 1, bias=False, groups=groups)

        self.query, self.value = projection(), projection()  # W_Q, W_V
        self.key = projection() if content else None  # W_K
        relative = positions == "relative"
        self.row = nn.Parameter(torch.randn(heads, width // 2, kernel_size)) if relative else None
        self.column = nn.Parameter(torch.randn(heads, width // 2, kernel_size)) if relative else None

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N out rows columns"]:
        check_map(x, self.channels)
        layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
        x = self._placed(x)
        heads = local_attention(
            self._heads(self.query, x),
            self._keys(x),
            self._heads(self.value, x),
            self.row,
            self.column,
            self.kernel_size,
            self.border,
        )
        y = heads.flatten(1, 2).contiguous(memory_format=layout)
        return y if self.stride == 1 else F.avg_pool2d(y, self.stride, ceil_mode=True)

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N heads Q window"]:
        check_map(x, self.channels)
        check_queries(queries, x.shape[2:].numel())
        x = self._placed(x)
        return local_weights(
            self._heads(self.query, x), self._keys(x), self.row, self.column, self.kernel_size, self.border, queries
        )

    def _placed(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        if self.positions != "absolute":
            return x
        return x + sinusoidal_map(*x.shape[2:], self.channels, like=x).to(x.dtype)

    def _keys(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N heads width H W"] | None:
        return None if self.key is None else self._heads(self.key, x)

    def _heads(self, projection: nn.Conv2d, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N heads width H W"]:
        return projection(x).unflatten(1, (self.heads, -1))

    def network_init_(self) -> None:
        """Kaiming normal projections (fan out) and embeddings from N(0, 1), as in both ports; the paper is silent."""
        for projection in (self.query, self.key, self.value):
            if projection is not None:
                nn.init.kaiming_normal_(projection.weight, mode="fan_out", nonlinearity="relu")
        for embedding in (self.row, self.column):
            if embedding is not None:
                nn.init.normal_(embedding)

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, {self.out_channels}, kernel_size={self.kernel_size}, heads={self.heads}, "
            f"positions={self.positions}, border={self.border}, projections={self.projections}, stride={self.stride}"
        )
