"""Non-local block: Wang, Girshick, Gupta and He, CVPR 2018, arXiv 1711.07971v3.

Every position takes a weighted mean of an embedding of all positions; projected back and normalised with a scale that
starts at zero, it is added to the map. Status: the identity when it is put into a trained network, and at the first
step only the batch norm can move; the four pairwise functions differ little in the paper's own tables.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnlib.base import (
    AXES,
    SelfAttention,
    check_choice,
    check_count,
    check_flag,
    check_map,
    check_queries,
    check_reduction,
    is_plain,
    may_be_read,
)
from attnlib.self_attention.positions import attend, chosen_weights, to_map, to_positions

PAIRWISE = ("embedded", "gaussian", "dot", "concat")
POOL = ("input", "projections")
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class NonLocal(SelfAttention):
    """Add to every position what it takes from all positions: z_i = x_i + BN(W_z y_i).

        y_i = sum_j f(x_i, x_j) g(x_j) / C(x)          g(x) = W_g x + b_g, equation 1

        "gaussian"   f = exp(x_i . x_j)                           C = sum_j f, equation 2
        "embedded"   f = exp(s theta(x_i) . phi(x_j))             C = sum_j f, equation 3
        "dot"        f = theta(x_i) . phi(x_j)                    C = number of keys, equation 4
        "concat"     f = relu(w . [theta(x_i); phi(x_j)])         C = number of keys, equation 5

    theta, phi, g and W_z are 1 x 1 convolutions with biases; w has none.

    Args:
        channels: number of channels C of the map.
        reduction: theta, phi and g have floor(C / reduction) channels, at least 1; the paper's bottleneck is 2.
        pairwise: the function f.
        subsample: take keys and values from a map that is max-pooled 2 x 2 (a sequence by 2, a video never over time),
            a last odd row or column left out. The paper does so in all its experiments, with a quarter of the pairs;
            `False` is its plain block.
        dimensions: 1 for sequences (N, C, L), 2 for maps, 3 for videos (N, C, T, H, W).
        scale: of the "embedded" form alone: s = floor(C / reduction)^-0.5, as in the released code and where nothing
            is given; `False` is equation 3, s = 1.
        pool: what sub-sampling pools: the "input" of phi and g, as the released code does, the printed costs confirm
            and where nothing is given, or the "projections" phi(x) and g(x), as the text says.
        norm: W_z has a batch norm whose scale starts at zero. `False` is the released form for long clips: no norm,
            and W_z itself starts at zero.

    Shapes: x and the output (N, C, *size); the weights (N, 1, Q, keys).

    Parameters, with D = floor(C / reduction): 4 C D + 3 D + C and the norm's 2 C, for D = C / 2 2 C^2 + 4.5 C.
        "gaussian" has 2 C D + 2 D fewer, "concat" 2 D more.

    Raises:
        ValueError: an unknown pairwise or pool, dimensions other than 1, 2, 3, reduction beyond C, a scale or pool
            without effect; a map of another shape, a side below 2 where it is sub-sampled; in train mode a single
            value per channel.
        TypeError: channels, reduction or dimensions is not an integer, subsample, scale or norm is not a bool; an
            input that is not floating point.

    Where the released code differs from the paper: the scale, and the order of pooling and projecting. Its initial
    weights are Gaussian (std 0.01) where the text says He: `network_init_`.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        pairwise: str = "embedded",
        subsample: bool = False,
        dimensions: int = 2,
        scale: bool | None = None,
        pool: str | None = None,
        norm: bool = True,
    ) -> None:
        check_count("channels", channels)
        inner = check_reduction(channels, reduction)
        check_choice("pairwise", pairwise, PAIRWISE)
        check_flag("subsample", subsample)
        check_count("dimensions", dimensions)
        if dimensions not in CONVOLUTIONS:
            raise ValueError(f"dimensions must be 1, 2 or 3, got {dimensions}; a video has 3 (T, H, W)")
        if scale is not None:
            check_flag("scale", scale)
            if pairwise != "embedded":
                raise ValueError(
                    f"scale={scale} has no use with pairwise={pairwise!r}: the embedded form alone has a scale; "
                    "leave it out"
                )
        if pool is not None:
            check_choice("pool", pool, POOL)
            if not subsample:
                raise ValueError(f"pool={pool!r} has no use with subsample=False; leave it out, or use subsample=True")
        elif subsample:
            pool = "input"
        check_flag("norm", norm)
        super().__init__(channels)
        self.pairwise, self.subsample, self.dimensions, self.pool = pairwise, subsample, dimensions, pool
        self.scale = inner**-0.5 if scale is not False and pairwise == "embedded" else 1.0
        convolution = CONVOLUTIONS[dimensions]
        embedded = pairwise != "gaussian"
        self.theta = convolution(channels, inner, 1) if embedded else None  # queries
        self.phi = convolution(channels, inner, 1) if embedded else None  # keys
        self.g = convolution(channels, inner, 1)  # values
        self.pair = nn.Linear(2 * inner, 1, bias=False) if pairwise == "concat" else None  # w
        self.out = convolution(inner, channels, 1)  # W_z
        self.norm = NORMS[dimensions](channels) if norm else None
        self._zero_last()

    def _zero_last(self) -> None:
        """The block starts as the identity."""
        last = self.out if self.norm is None else self.norm
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Float[Tensor, "N C *size"]) -> Float[Tensor, "N C *size"]:
        self._check(x)
        theta, phi, g = self._embeddings(x)
        if self.pairwise in ("embedded", "gaussian"):
            y = attend(theta, phi, g, self.scale)
        elif self.pairwise == "dot":
            # (theta phi^T) g = theta (phi^T g): the weights are never built. Divided first: a sum over all keys may
            # leave the range of float16.
            y = theta @ (phi.transpose(1, 2) @ (g / g.shape[1]))
        else:
            y = self._pair_weights(theta, phi) @ g
        mixed = to_map(y, x.shape[2:])
        z = self.out(mixed.contiguous() if x.is_contiguous() else mixed)  # in x's layout: they are added
        return x + (z if self.norm is None else self.norm(z))

    def weights(
        self, x: Float[Tensor, "N C *size"], queries: Int[Tensor, " Q"] | None = None
    ) -> Float[Tensor, "N 1 Q keys"]:
        """f / C(x). Its rows sum to one in the softmax forms; they may be negative for "dot", all zero for "concat"."""
        self._check(x)
        check_queries(queries, x.shape[2:].numel())
        theta, phi, _ = self._embeddings(x)
        if self.pairwise in ("embedded", "gaussian"):
            return chosen_weights(theta, phi, self.scale, queries)
        theta = theta if queries is None else theta[:, queries]
        if self.pairwise == "dot":
            return (theta @ phi.transpose(1, 2) / phi.shape[1])[:, None]
        return self._pair_weights(theta, phi)[:, None]

    def _embeddings(self, x: Float[Tensor, "N C *size"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries theta, keys phi and values g, position by position."""
        places, size = to_positions(x), x.shape[2:]
        source, source_size = places, size  # of keys and values
        if self.pool == "input":
            pooled = self._pooled(x)
            source, source_size = to_positions(pooled), pooled.shape[2:]
        if self.theta is None:
            theta, phi, (g,) = places, source, projections(source, source_size, self.g)
        elif source is places:
            theta, phi, g = projections(places, size, self.theta, self.phi, self.g)
        else:
            (theta,) = projections(places, size, self.theta)
            phi, g = projections(source, source_size, self.phi, self.g)
        if self.pool == "projections":
            phi, g = (to_positions(self._pooled(to_map(u, size))) for u in (phi, g))
        return theta, phi, g

    def _pooled(self, x: Float[Tensor, "N _ *size"]) -> Float[Tensor, "N _ *pooled"]:
        if self.dimensions == 1:  # as a map of one row: max_pool1d would fix the length of an exported module
            return F.max_pool2d(x[:, :, None], (1, 2))[:, :, 0]
        return F.max_pool2d(x, 2) if self.dimensions == 2 else F.max_pool3d(x, (1, 2, 2))

    def _pair_weights(self, theta: Float[Tensor, "N Q D"], phi: Float[Tensor, "N keys D"]) -> Float[Tensor, "N Q keys"]:
        """relu(w . [theta_i; phi_j]) / keys. w . [theta; phi] is a sum of two scalars: no pair is ever concatenated."""
        if not may_be_read(self.pair):
            size = (-1, theta.shape[1], phi.shape[1], -1)
            pairs = torch.cat([theta[:, :, None].expand(size), phi[:, None].expand(size)], 3)
            return torch.relu(self.pair(pairs).squeeze(3)) / phi.shape[1]
        of_query, of_key = self.pair.weight.chunk(2, 1)
        scores = F.linear(theta, of_query) + F.linear(phi, of_key).transpose(1, 2)
        return torch.relu(scores) / phi.shape[1]

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        is_other = isinstance(x, Tensor) and x.dim() in (3, 4, 5) and x.dim() != 2 + self.dimensions
        is_one = is_other and x.dim() == 1 + self.dimensions and x.shape[0] == self.channels
        if is_other and not is_one and x.shape[1] == self.channels:
            axes = AXES[x.dim() - 2]
            raise ValueError(
                f"expected (N, {self.channels}, {AXES[self.dimensions]}), got shape {tuple(x.shape)}; for "
                f"(N, {self.channels}, {axes}) build the block with dimensions={x.dim() - 2}"
            )
        check_map(x, self.channels, self.dimensions)
        if self.subsample and min(x.shape[2:][-2:]) < 2:
            raise ValueError(
                f"subsample=True halves the sides: each must be at least 2 (of a video H and W), got shape "
                f"{tuple(x.shape)}; use a larger map, or subsample=False"
            )
        if self.norm is not None and self.training and x.numel() // self.channels < 2:
            raise ValueError(
                f"the batch norm needs 2 or more values per channel in train mode, got shape {tuple(x.shape)}; "
                "use a larger batch, or eval mode"
            )

    def network_init_(self) -> None:
        """Gaussian weights (std 0.01) and zero biases, as released; the last layer at zero, so that it is the identity.

        The text says He initialisation instead.
        """
        for layer in (self.theta, self.phi, self.g, self.pair, self.out):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self._zero_last()

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, pairwise={self.pairwise}, subsample={self.subsample}, dimensions={self.dimensions}, "
            f"scale={self.scale:.4g}, pool={self.pool}"
        )


def projections(
    x: Float[Tensor, "N positions C"], size: torch.Size, *layers: nn.Module
) -> tuple[Float[Tensor, "N positions _"], ...]:
    """1 x 1 convolutions of equal width as one matrix product: the positions are read once for all of them.

    Layers that are more than that, e.g. under weight norm, pruning or a hook, are called on the map of this size.
    """
    if not all(is_plain(layer) for layer in layers):
        return tuple(to_positions(layer(to_map(x, size))) for layer in layers)
    weight = torch.cat([layer.weight.flatten(1) for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])
    return F.linear(x, weight, bias).chunk(len(layers), -1)
