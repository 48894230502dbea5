"""Multiply-adds of each module for one map, by its paper's equations and our default arguments.

Independent of the code that counts. C, H and W are the map's, P = H W its pixels. A module of which a paper says more
than a matrix product or a convolution (sums, means, norms, gates) costs that as elementwise work, which is not here:
hence the zeros.
"""

from math import log2


def residual_attention(c: int, h: int, w: int) -> int:
    """Units of C -> C/4 -> C/4 (3 x 3) -> C: one before, two in the trunk, one behind, two on the halved map; W, W."""
    unit = 2 * c * (c // 4) + 9 * (c // 4) ** 2
    return unit * (4 * h * w + 2 * (h // 2) * (w // 2)) + 2 * c * c * h * w


def se(c: int, h: int, w: int) -> int:
    """W_2 relu(W_1 z) with C/16 hidden units."""
    return 2 * c * (c // 16)


def ge(c: int, h: int, w: int) -> int:
    """A mean and a sigmoid."""
    return 0


def bam(c: int, h: int, w: int) -> int:
    """Two linear maps of the mean; at every pixel 1 x 1 to D = C/16, two 3 x 3, 1 x 1 to one."""
    d = c // 16
    return 2 * c * d + h * w * (c * d + 2 * 9 * d * d + d)


def cbam(c: int, h: int, w: int) -> int:
    """The two layers of the channel gate run for mean and maximum; 7 x 7 over two maps."""
    return 2 * 2 * c * (c // 16) + 2 * 7 * 7 * h * w


def sge(c: int, h: int, w: int) -> int:
    """The products of a group's mean with every pixel are arithmetic on the map, as the equation has them."""
    return 0


def eca(c: int, h: int, w: int) -> int:
    """k neighbours of each channel, k the odd number next to (log2 C + 1) / 2."""
    return _neighbours(c) * c


def iebn(c: int, h: int, w: int) -> int:
    """A scale and a shift for every channel."""
    return 0


def triplet(c: int, h: int, w: int) -> int:
    """7 x 7 over two maps of C x W, of C x H and of H x W."""
    return 2 * 7 * 7 * (c * w + c * h + h * w)


def nam(c: int, h: int, w: int) -> int:
    """A batch norm and a weight for every channel."""
    return 0


def sa(c: int, h: int, w: int) -> int:
    """Means, a group norm, scales and shifts."""
    return 0


def sem(c: int, h: int, w: int) -> int:
    """Three weights of the mean; two layers with C/16 units; k neighbours; a scale and a shift."""
    return 3 * c + 2 * c * (c // 16) + _neighbours(c) * c


def dot_product(c: int, h: int, w: int) -> int:
    """Four projections; scores and averages of every pair, whatever the heads."""
    p = h * w
    return 4 * c * c * p + 2 * p * p * c


def non_local(c: int, h: int, w: int) -> int:
    """Theta, phi, g and W_z between C and D = C/2; scores and averages of every pair."""
    p, d = h * w, c // 2
    return 4 * c * d * p + 2 * p * p * d


def base_oc(c: int, h: int, w: int) -> int:
    return _context(c, c // 2, c // 2, h * w, [h * w]) + 2 * c * c * h * w


def pyramid_oc(c: int, h: int, w: int) -> int:
    """Contexts in 1, 4, 9 and 36 cells, U to as many channels, and a fusion of both."""
    contexts = 0
    for s in (1, 2, 3, 6):
        cells = [rows * columns for rows in _cut(h, s) for columns in _cut(w, s)]
        contexts += _context(c, c // 2, c, h * w, cells)
    return contexts + h * w * (c * 4 * c + 8 * c * c)


def asp_oc(c: int, h: int, w: int) -> int:
    """3 x 3 to B = C/2, a context on the halved map, 1 x 1; beside it 1 x 1 and three 3 x 3; the fusion of all five."""
    b, p, few = c // 2, h * w, (h // 2) * (w // 2)
    context = 9 * c * b * p + _context(b, b // 2, b, few, [few]) + b * b * p
    return context + c * b * p + 3 * 9 * c * b * p + 5 * b * c * p


def sagan(c: int, h: int, w: int) -> int:
    """Queries and keys of C/8, values of C/2; keys and values of the halved map take part in the pairs."""
    p, keys = h * w, (h // 2) * (w // 2)
    return p * (2 * c * (c // 8) + 2 * c * (c // 2)) + p * keys * (c // 8 + c // 2)


def sasa(c: int, h: int, w: int) -> int:
    """Three projections; in a window of 7 x 7 every pixel's products with keys and offsets, and the average."""
    return h * w * (3 * c * c + 3 * 49 * c)


def sasa_stem(c: int, h: int, w: int) -> int:
    """To 64 channels in blocks of 4 x 4, those at the border filled up.

    The mixture p(a, b, m) of four value matrices, in 4 heads' 16 channels, and the mixed matrices of the 16 places are
    made once; each place of a block applies its own. Queries and keys run over the map alone.
    """
    filled = 16 * -(-h // 4) * -(-w // 4)
    mixture = 16 * 4 * 16 + 16 * 4 * 64 * c
    return mixture + 2 * c * 64 * h * w + filled * (c * 64 + 3 * 16 * 64)


def _neighbours(c: int) -> int:
    t = int((log2(c) + 1) / 2)
    return t if t % 2 else t + 1


def _context(c: int, keys: int, values: int, pixels: int, cells: list[int]) -> int:
    """One transform for queries and keys, one for values, every pair inside the cells, one transform back to C."""
    return pixels * (c * keys + 2 * c * values) + sum(n * n for n in cells) * (keys + values)


def _cut(length: int, cells: int) -> list[int]:
    """Cells of floor(length / cells) and a last one with what is left."""
    each = length // cells
    return [each] * (cells - 1) + [length - (cells - 1) * each]
