"""The stem of stand-alone self-attention: Ramachandran et al., arXiv 1906.05909, Section 3.2 and appendix."""

from tests.reference.layers import batch_norm, convolution, pointwise, product, shares
from tests.reference.sasa import relative
from tests.reference.scalar import larger


def sasa_stem(
    x, training, norm, w_q, w_k, w_v, row, column, emb_row=None, emb_column=None, nu=None, heads=1, side=4, kernel=False
):
    """Attention among the pixels of a block of side x side, batch norm, then the maximum of each block.

    w_v holds value matrices by name: they are mixed by place where nu is given, else it is one matrix or one kernel.
    """
    height, width, size = len(x[0][0]), len(x[0][0][0]), len(w_q) // heads
    query, key, attended = pointwise(x, w_q), pointwise(x, w_k), []
    value = values(x, [w_v[name] for name in w_v], emb_row, emb_column, nu, side, kernel)
    for n in range(len(x)):
        attended.append([[[0 for _ in range(width)] for _ in range(height)] for _ in w_q])
        for i in range(height):
            for j in range(width):
                places = block(i, j, height, width, side)
                for head in range(heads):
                    scores = []
                    for a, b in places:
                        score = 0
                        for c in range(size):
                            o = head * size + c
                            r = relative(row, column, head, c, a - i + side - 1, b - j + side - 1)
                            score += query[n][o][i][j] * key[n][o][a][b] + query[n][o][i][j] * r
                        scores.append(score)
                    for w, weight in enumerate(shares(scores)):
                        a, b = places[w]
                        for o in range(head * size, head * size + size):
                            attended[n][o][i][j] += weight * value[n][o][a][b]
    normal, new = batch_norm(attended, norm, training)
    return [[maxima(plane, side) for plane in image] for image in normal], {"norm": new}


def block(i, j, height, width, side):
    """The pixels of the block of (i, j)."""
    top, left = i - i % side, j - j % side
    return [(a, b) for a in range(top, top + side) for b in range(left, left + side) if a < height and b < width]


def values(x, matrices, emb_row, emb_column, nu, side, kernel):
    """v[n][o][a][b]."""
    if kernel:
        # Where the side is even, there is one line of zeros more below and to the right than above and to the left.
        framed = convolution(x, matrices[0], padding=side // 2)
        first = 1 - side % 2
        return [[[line[first:] for line in plane[first:]] for plane in image] for image in framed]
    if nu is None:
        return pointwise(x, matrices[0])
    v = []
    for image in x:
        v.append([[[0 for _ in line] for line in image[0]] for _ in matrices[0]])
        for a in range(len(image[0])):
            for b in range(len(image[0][0])):
                place = []
                for c in range(len(nu[0])):
                    place.append(emb_row[a % side][c] + emb_column[b % side][c])
                pixel = [plane[a][b] for plane in image]
                for m, p in enumerate(shares(product(nu, place))):
                    for o, projected in enumerate(product(matrices[m], pixel)):
                        v[-1][o][a][b] += p * projected
    return v


def maxima(plane, side):
    """The maximum of each block, the first of equal ones."""
    rows = []
    for top in range(0, len(plane), side):
        rows.append([])
        for left in range(0, len(plane[0]), side):
            best = plane[top][left]
            for line in plane[top : top + side]:
                for value in line[left : left + side]:
                    best = larger(best, value)
            rows[-1].append(best)
    return rows
