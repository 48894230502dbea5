"""The parts that OCNet's three heads are built from: a batch norm with positive scales, and the object context."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnlib.base import check_queries
from attnlib.self_attention.positions import attend, chosen_weights, to_map, to_positions

SLOPE = 0.01  # of the leaky ReLU behind each norm
MOMENTUM = 0.1
# The released code runs a shared transform for the queries and once more for the keys, so that every batch moves its
# running statistics twice: 1 - 0.9^2.
SHARED_MOMENTUM = 0.19


class PositiveScale(nn.Module):
    """Scale each channel by |gamma| + eps and shift it, as the released in-place norm does to stay invertible.

    A layer of its own behind a norm without scales, so that the norm may become any other, e.g. a synchronised one.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))  # gamma
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        scale = (self.weight.abs() + self.eps).to(x.dtype)
        return x * scale[:, None, None] + self.bias.to(x.dtype)[:, None, None]


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms in train mode normalise by the batch as ever, but leave their running statistics alone."""
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def conv_abn(
    channels: int,
    out_channels: int,
    kernel_size: int = 1,
    dilation: int = 1,
    bias: bool = True,
    momentum: float = MOMENTUM,
) -> nn.Sequential:
    """A convolution of the map's size, then what the paper calls ABN: norm and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(
            channels, out_channels, kernel_size, padding=dilation * (kernel_size // 2), dilation=dilation, bias=bias
        ),
        nn.BatchNorm2d(out_channels, momentum=momentum, affine=False),
        PositiveScale(out_channels),
        nn.LeakyReLU(SLOPE),
    )


class ObjectContext(nn.Module):
    """Each pixel's weighted mean of all pixels of its cell: W softmax(f_q(x_p) . f_k(x_i) / sqrt(C_k)) V(x_i).

    Args:
        channels: number of channels C of x and of the context.
        key_channels, value_channels: C_k, and the channels of V.
        shared: f_q and f_k are one transform, so that the scores are symmetric.
        pool: x is max-pooled pool x pool before everything, and the context enlarged at the end.
        cells: the map is cut into cells x cells rectangles that attend each to itself alone; the last row and column
            of cells take what does not divide. Queries, keys and values are computed before the cut.
    """

    def __init__(
        self, channels: int, key_channels: int, value_channels: int, shared: bool = True, pool: int = 1, cells: int = 1
    ) -> None:
        super().__init__()
        self.pool, self.cells, self.scale = pool, cells, key_channels**-0.5
        self.query = conv_abn(channels, key_channels, momentum=SHARED_MOMENTUM if shared else MOMENTUM)  # f_q
        self.key = None if shared else conv_abn(channels, key_channels)  # f_k
        self.value = nn.Conv2d(channels, value_channels, 1)  # V
        self.out = nn.Conv2d(value_channels, channels, 1)  # W
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        query, key, value = (self._cells(y) for y in self._transforms(x))
        rows = []
        for queries, keys, values in zip(query, key, value, strict=True):
            row = [self._attended(q, k, v) for q, k, v in zip(queries, keys, values, strict=True)]
            rows.append(torch.cat(row, 3))
        context = self.out(torch.cat(rows, 2))
        if self.pool == 1:
            return context
        return F.interpolate(context, size=x.shape[2:], mode="bilinear", align_corners=True)

    def _attended(
        self, query: Float[Tensor, "N K h w"], key: Float[Tensor, "N K h w"], value: Float[Tensor, "N V h w"]
    ) -> Float[Tensor, "N V h w"]:
        y = attend(to_positions(query), to_positions(key), to_positions(value), self.scale)
        return to_map(y, value.shape[2:])

    def weights(
        self, x: Float[Tensor, "N C H W"], queries: Int[Tensor, " Q"] | None = None
    ) -> list[Float[Tensor, "N 1 _ _"]]:
        """The weights of each cell, row by row of cells; of the chosen queries a cell has those that lie in it.

        Queries count the positions of the map after pooling.
        """
        with statistics_kept(self):
            query, key, _ = self._transforms(x)
        height, width = query.shape[2:]
        check_queries(queries, height * width)
        where = torch.arange(height * width, device=x.device).view(1, 1, height, width)
        found = []
        for parts in zip(self._cells(query), self._cells(key), self._cells(where), strict=True):
            for q, k, positions in zip(*parts, strict=True):
                chosen = None
                if queries is not None:
                    _, chosen = torch.nonzero(queries[:, None] == positions.flatten(), as_tuple=True)
                found.append(chosen_weights(to_positions(q), to_positions(k), self.scale, chosen))
        return found

    def _transforms(self, x: Float[Tensor, "N C H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, of the pooled map."""
        if self.pool > 1:
            x = F.max_pool2d(x, self.pool)
        query = self.query(x)
        key = query if self.key is None else self.key(x)
        return query, key, self.value(x)

    def _cells(self, x: Tensor) -> list[tuple[Tensor, ...]]:
        """The cells of a map, row by row."""
        return [cut(row, self.cells, 3) for row in cut(x, self.cells, 2)]

    def extra_repr(self) -> str:
        return f"pool={self.pool}, cells={self.cells}"


def cut(x: Tensor, parts: int, axis: int) -> tuple[Tensor, ...]:
    """Equal parts along an axis, the last with what is left over."""
    step, length = x.shape[axis] // parts, x.shape[axis]
    return x.split([step] * (parts - 1) + [length - step * (parts - 1)], axis)


def check_side(x: Tensor, smallest: int, why: str) -> None:
    """Refuse a map that is too small for its cells or its pooling.

    Raises:
        ValueError: a side below `smallest`.
    """
    if min(x.shape[2:]) < smallest:
        raise ValueError(f"{why}: H and W must be at least {smallest}, got shape {tuple(x.shape)}; use a larger map")


def check_values(x: Tensor, pool: int = 1) -> None:
    """Refuse, in train mode, a batch that has no variance after pooling.

    Raises:
        ValueError: a single value per channel.
    """
    if x.shape[0] * (x.shape[2] // pool) * (x.shape[3] // pool) < 2:
        raise ValueError(
            f"the batch norms need 2 or more values per channel in train mode, got shape {tuple(x.shape)}"
            f"{f', pooled {pool} x {pool}' if pool > 1 else ''}; use a larger batch, or eval mode"
        )
