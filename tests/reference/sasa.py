"""Stand-alone self-attention: Ramachandran et al., arXiv 1906.05909, equations 2 and 3, and its stem's appendix."""

from tests.reference.dot_product import position_code
from tests.reference.layers import product, shares


def sasa(x, w_q, w_v, w_k=None, row=None, column=None, heads=1, kernel_size=7, border="pad", absolute=False, stride=1):
    """y_ij = sum over the window of softmax(q_ij . (k_ab + r)) v_ab, r = [row_(a-i); column_(b-j)], head by head.

    w_q, w_k and w_v are matrices [o][c], those of grouped projections with as many columns as a head has inputs. row
    and column are [head][channel][offset]. At the border a place outside has k = v = 0, or is no place at all.
    """
    height, width, channels = len(x[0][0]), len(x[0][0][0]), len(w_q)
    if absolute:
        x = [placed(image) for image in x]
    size, reach, y = channels // heads, kernel_size // 2, []
    for image in x:
        query, value = projected(image, w_q), projected(image, w_v)
        key = None if w_k is None else projected(image, w_k)
        planes = [[[0 for _ in range(width)] for _ in range(height)] for _ in range(channels)]
        for head in range(heads):
            for i in range(height):
                for j in range(width):
                    scores, places = [], []
                    for a in range(i - reach, i + reach + 1):
                        for b in range(j - reach, j + reach + 1):
                            inside = 0 <= a < height and 0 <= b < width
                            if border == "mask" and not inside:
                                continue
                            score = 0
                            for c in range(size):
                                k = 0
                                if inside and key is not None:
                                    k = key[a][b][head * size + c]
                                score += query[i][j][head * size + c] * (
                                    k + relative(row, column, head, c, a - i + reach, b - j + reach)
                                )
                            scores.append(score)
                            places.append((a, b) if inside else None)
                    weights = shares(scores)
                    for c in range(head * size, head * size + size):
                        for weight, place in zip_places(weights, places):
                            planes[c][i][j] += weight * value[place[0]][place[1]][c]
        y.append(planes if stride == 1 else [pooled(plane, stride) for plane in planes])
    return y, {}


def projected(image, matrix):
    """matrix[o][c] at every pixel, [i][j][o]; with fewer columns than channels each head has its own of them."""
    inputs = len(matrix[0])
    outputs = len(matrix) * inputs // len(image)
    pixels = []
    for i in range(len(image[0])):
        pixels.append([])
        for j in range(len(image[0][0])):
            vector = []
            for start in range(0, len(image), inputs):
                group = range(start // inputs * outputs, (start // inputs + 1) * outputs)
                inside = [image[c][i][j] for c in range(start, start + inputs)]
                for o in product([matrix[o] for o in group], inside):
                    vector.append(o)
            pixels[-1].append(vector)
    return pixels


def relative(row, column, head, c, a, b):
    """r of offset (a, b): the row's embedding in the first half of a head's channels, the column's in the second."""
    if row is None:
        return 0
    half = len(row[head])
    return row[head][c][a] if c < half else column[head][c - half][b]


def zip_places(weights, places):
    """The weights of the places that are on the map: the others have no value."""
    return [(weights[w], place) for w, place in enumerate(places) if place is not None]


def placed(image):
    """Sines and cosines of the row are added to the first half of the channels, of the column to the second."""
    half, planes = len(image) // 2, []
    for c, plane in enumerate(image):
        planes.append([])
        for i, line in enumerate(plane):
            planes[-1].append([])
            for j, value in enumerate(line):
                planes[-1][-1].append(value + position_code(i if c < half else j, c % half, half))
    return planes


def pooled(plane, stride):
    """Averages of stride x stride blocks; the last ones of what is there."""
    rows = []
    for top in range(0, len(plane), stride):
        rows.append([])
        for left in range(0, len(plane[0]), stride):
            total, count = 0, 0
            for line in plane[top : top + stride]:
                for value in line[left : left + stride]:
                    total += value
                    count += 1
            rows[-1].append(total / count)
    return rows
