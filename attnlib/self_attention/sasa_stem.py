"""The stem of stand-alone self-attention: Ramachandran, Parmar, Vaswani, Bello, Levskaya and Shlens, NeurIPS 2019,
arXiv 1906.05909.

Attention inside blocks of 4 x 4 pixels, whose values depend on the place in the block, in place of a network's first
convolution. Status: no official code was ever published, and the paper leaves much open (see `SASAStem`).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attnlib.base import (
    SelfAttention,
    at_least_float32,
    check_choice,
    check_count,
    check_divides,
    check_map,
    check_queries,
    full_precision,
    is_channels_last,
    may_be_read,
)

VALUES = ("aware", "convolution", "plain")


class SASAStem(SelfAttention):
    """Attend inside each block of k x k pixels, normalise, and take the maximum of each block:

        y_ij = sum over (a, b) in the block of softmax_ab(q_ij . k_ab + q_ij . r_(a-i, b-j)) v_ab
        v_ab = (sum_m p(a, b, m) W_V^m) x_ab,  p(a, b, m) = softmax_m((emb_row(a) + emb_column(b)) . nu_m)

    Here a and b count from the block's corner; r is [row; column] as in `SASA`. All heads share p.

    Args:
        channels: of the image, 3.
        out_channels: of the output, 64 in a ResNet.
        heads: 4.
        kernel_size: the block's side k, 4; also the pooling's window and stride.
        mixtures: value matrices W_V^m of values="aware". The paper does not say how many; 4, as in both ports,
            fits the printed cost.
        values: the three stems of Table 7. "aware" is the above; "convolution" makes v by a k x k convolution over the
            image, zeros around it (the even side's extra one right and below); "plain" by one matrix.

    Shapes: x (N, C, H, W); the output (N, out_channels, ceil(H / k), ceil(W / k)); the weights (N, heads, queries,
    k * k): key a * k + b is row a and column b of the query's block. Blocks that the border cuts hold the pixels there
    are; the others take no share. Exported, it takes images of two blocks or more along each side.

    Parameters: 2 C D of queries and keys, (2 k - 1) D of relative positions with D = out_channels, 2 D of the norm; of
    the values m C D + (2 k + m) D / heads (aware), k^2 C D (convolution) or C D (plain).

    Raises:
        ValueError: heads that do not divide out_channels or leave heads of odd width; unknown values; a map of another
            shape; in train mode a single pixel, which has no variance.
        TypeError: a count is not an integer; an input that is not floating point.

    What the paper does not say, and what this module does: each head has its own relative vectors, 2 k - 1 of rows and
    of columns; emb and nu are as long as a head is wide; the convolution is as large as the block, which fits the cost
    in Table 7; between norm and pooling there is no ReLU. The value matrices are mixed before they are applied, which
    gives the same values as mixing m projected maps for 1 / m of their multiply-adds. A counter that hooks all layers,
    as torch's FlopCounterMode does, has each matrix applied by itself, and counts that.

    Where released code differs: there is none of the authors. The public ports slide a 4 x 4 window and cut off what is
    too much; one takes the place in the image for the place in the block.
    """

    def __init__(
        self,
        channels: int = 3,
        out_channels: int = 64,
        heads: int = 4,
        kernel_size: int = 4,
        mixtures: int = 4,
        values: str = "aware",
    ) -> None:
        check_count("channels", channels)
        check_count("out_channels", out_channels)
        check_divides("heads", heads, out_channels, of="out_channels")
        check_count("kernel_size", kernel_size)
        check_count("mixtures", mixtures)
        check_choice("values", values, VALUES)
        width = out_channels // heads
        if width % 2:
            raise ValueError(
                f"heads={heads} cut {out_channels} channels into heads of {width}: relative positions need an even "
                "number, half for rows and half for columns; use fewer heads"
            )
        super().__init__(channels)
        self.heads, self.kernel_size, self.values = heads, kernel_size, values
        self.query = nn.Conv2d(channels, out_channels, 1, bias=False)  # W_Q
        self.key = nn.Conv2d(channels, out_channels, 1, bias=False)  # W_K
        count = mixtures if values == "aware" else 1
        side = kernel_size if values == "convolution" else 1
        self.value = nn.ModuleList(nn.Conv2d(channels, out_channels, side, bias=False) for _ in range(count))  # W_V^m
        self.row = nn.Parameter(torch.randn(heads, width // 2, 2 * kernel_size - 1))
        self.column = nn.Parameter(torch.randn(heads, width // 2, 2 * kernel_size - 1))
        aware = values == "aware"
        self.block_row = nn.Parameter(torch.randn(kernel_size, width)) if aware else None  # emb_row
        self.block_column = nn.Parameter(torch.randn(kernel_size, width)) if aware else None  # emb_column
        self.mixture = nn.Parameter(torch.randn(mixtures, width)) if aware else None  # nu
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N out rows columns"]:
        self._check(x)
        projected = self.query(x)
        query, key, value = self._blocks(projected), self._blocks(self.key(x)), self._block_values(x)
        with full_precision(x.device.type):  # logits of an image in 0 to 255 are beyond float16
            logits = torch.einsum("nhcbq,nhcbk->nhbqk", query, key)
            logits = logits + torch.einsum("nhcbq,hcqk->nhbqk", query, self._relative())
            shares = logits.masked_fill(self._missing(x)[:, None], -torch.inf).softmax(-1)
            y = self._pixels(torch.einsum("nhbqk,nhcbk->nhcbq", shares, value).to(projected.dtype), x)
        layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
        y = self.norm(y.contiguous(memory_format=layout))
        return F.max_pool2d(y, self.kernel_size, ceil_mode=True)

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N heads Q block"]:
        self._check(x)
        check_queries(queries, x.shape[2:].numel())
        if queries is None:
            queries = torch.arange(x.shape[2] * x.shape[3], device=x.device)
        k, (i, j) = self.kernel_size, (queries // x.shape[3], queries % x.shape[3])
        block, place = i // k * self._grid(x)[1] + j // k, i % k * k + j % k
        query = self._blocks(self.query(x))[..., block, place]
        key = self._blocks(self.key(x))[:, :, :, block]
        with full_precision(x.device.type):
            logits = torch.einsum("nhcq,nhcqk->nhqk", query, key)
            logits = logits + torch.einsum("nhcq,hcqk->nhqk", query, self._relative()[:, :, place])
        return logits.masked_fill(self._missing(x)[block], -torch.inf).softmax(-1)

    def block_mixture(self) -> Float[Tensor, "k k mixtures"]:
        """p(a, b, m): how much of value matrix m the pixel in row a and column b of a block uses."""
        place = self.block_row[:, None] + self.block_column
        return F.linear(at_least_float32(place), at_least_float32(self.mixture)).softmax(-1)

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        if self.training and x.numel() // self.channels < 2:
            raise ValueError(
                f"the norm needs 2 or more pixels in train mode, got shape {tuple(x.shape)}; use more, or eval mode"
            )

    def _block_values(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N heads width blocks place"]:
        if self.values == "aware" and not all(map(may_be_read, self.value)):
            shares = self.block_mixture().flatten(0, 1).T
            return sum(share * self._blocks(layer(x)) for share, layer in zip(shares, self.value, strict=True))
        if self.values == "aware":
            matrices = torch.stack([layer.weight.flatten(1) for layer in self.value])
            mixed = torch.einsum("abm,moc->aboc", self.block_mixture().to(x.dtype), matrices.to(x.dtype)).flatten(0, 1)
            v = torch.einsum("ncbk,koc->nobk", self._cut(x), mixed)
            return at_least_float32(v.unflatten(1, (self.heads, -1)))
        if self.values == "convolution":
            before, after = (self.kernel_size - 1) // 2, self.kernel_size // 2
            x = F.pad(x, (before, after, before, after))
        return self._blocks(self.value[0](x))

    def _blocks(self, x: Float[Tensor, "N out H W"]) -> Float[Tensor, "N heads width blocks place"]:
        return at_least_float32(self._cut(x).unflatten(1, (self.heads, -1)))

    def _cut(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C blocks place"]:
        """Blocks of pixels, those that the border cuts filled with zeros."""
        k = self.kernel_size
        height, width = x.shape[2:]
        rows, columns = self._grid(x)
        x = F.pad(x, (0, columns * k - width, 0, rows * k - height))
        return x.unflatten(3, (columns, k)).unflatten(2, (rows, k)).movedim(3, 4).flatten(4).flatten(2, 3)

    def _grid(self, x: Float[Tensor, "N C H W"]):
        """Blocks along H and along W; tensors under torch.jit.trace, hence no type."""
        return tuple((size + self.kernel_size - 1) // self.kernel_size for size in x.shape[2:])

    def _pixels(
        self, y: Float[Tensor, "N heads width blocks place"], x: Float[Tensor, "N C H W"]
    ) -> Float[Tensor, "N out H W"]:
        """The blocks put together again, as large as x."""
        k, (height, width) = self.kernel_size, x.shape[2:]
        y = y.flatten(1, 2).unflatten(3, (k, k)).unflatten(2, self._grid(x)).movedim(4, 3)
        y = y.flatten(4).flatten(2, 3)
        return F.pad(y, (0, width - y.shape[3], 0, height - y.shape[2]))  # below 0: cut, at any size exported

    def _missing(self, x: Float[Tensor, "N C H W"]) -> Bool[Tensor, "blocks place"]:
        """Which places of each block are beyond the image."""
        return self._cut(x.new_ones(1, 1, *x.shape[2:]))[0, 0] == 0

    def _relative(self) -> Float[Tensor, "heads width place place"]:
        """r for every query and key of a block."""
        place = torch.arange(self.kernel_size, device=self.row.device)
        offset = place - place[:, None] + self.kernel_size - 1  # of key a from query i, counted from 0
        shape = (-1, -1, *[self.kernel_size] * 4)
        rows = self.row[..., offset][:, :, :, None, :, None].expand(shape)
        columns = self.column[..., offset][:, :, None, :, None, :].expand(shape)
        return at_least_float32(torch.cat([rows, columns], 1).flatten(4).flatten(2, 3))

    def network_init_(self) -> None:
        """Kaiming normal projections (fan out) and embeddings from N(0, 1), as in both ports; the paper is silent."""
        for layer in (self.query, self.key, *self.value):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        for embedding in (self.row, self.column, self.block_row, self.block_column, self.mixture):
            if embedding is not None:
                nn.init.normal_(embedding)
        self.norm.reset_parameters()

    def extra_repr(self) -> str:
        return f"{self.channels}, heads={self.heads}, kernel_size={self.kernel_size}, values={self.values}"
