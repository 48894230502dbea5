"""Dot-product attention: Vaswani et al., arXiv 1706.03762; additive attention: Bahdanau et al., arXiv 1409.0473."""

import cmath

from tests.reference.layers import product, shares
from tests.reference.scalar import zeros_like


def multi_head(x, w_q, w_k, w_v, w_o, heads, b_q=None, b_k=None, b_v=None, b_o=None, **positions):
    """[head_1; ...; head_h] W^O at every pixel, with w[o][c]; `positions` says how the pixels know where they are."""
    height, width, channels = len(x[0][0]), len(x[0][0][0]), len(x[0])
    size, y = channels // heads, zeros_like(x)
    for n, image in enumerate(x):
        query, key, value = [], [], []
        for i in range(height):
            for j in range(width):
                pixel = [image[c][i][j] + added(c, i, j, channels, **positions) for c in range(channels)]
                query.append(product(w_q, pixel, b_q))
                key.append(product(w_k, pixel, b_k))
                value.append(product(w_v, pixel, b_v))
        for place, q in enumerate(query):
            joined = []
            for head in range(heads):
                own = range(head * size, (head + 1) * size)
                scores = []
                for other, k in enumerate(key):
                    score = 0
                    for d, c in enumerate(own):
                        offset = learned_offset(place, other, d, width, **positions)
                        score += q[c] * (k[c] + offset) / size**0.5
                    scores.append(score)
                weights = shares(scores)
                for c in own:
                    total = 0
                    for other, v in enumerate(value):
                        total += weights[other] * v[c]
                    joined.append(total)
            output = product(w_o, joined, b_o)
            for c in range(channels):
                y[n][c][place // width][place % width] = output[c]
    return y, {}


def added(c, i, j, channels, sinusoidal=False, code=None, rows=None, columns=None):
    """What pixel (i, j) gets before its projections: half the channels say the row, the others the column."""
    if code is not None:
        return code[c][i][j]
    if not sinusoidal:
        return 0
    half = channels // 2
    return position_code(i if c < half else j, c % half, half)


def position_code(position, c, channels):
    """PE: sine for an even channel, cosine for the odd one after it."""
    angle = position / 10000 ** (c // 2 * 2 / channels)
    return cmath.cos(angle) if c % 2 else cmath.sin(angle)


def learned_offset(place, other, d, width, sinusoidal=False, code=None, rows=None, columns=None):
    """Channel d of r_row + r_column between two pixels; the middle vector belongs to no offset."""
    if rows is None:
        return 0
    down, right = other // width - place // width, other % width - place % width
    return rows[len(rows) // 2 + down][d] + columns[len(columns) // 2 + right][d]


def attention(query, key, value, scale, allowed=None):
    """One set of vectors without batch: sum_j of each query's shares times value[j], over the keys it may attend to."""
    outputs = []
    for i, q in enumerate(query):
        scores, seen = [], []
        for j, k in enumerate(key):
            if allowed is None or allowed[i][j]:
                score = 0
                for c in range(len(q)):
                    score += q[c] * k[c] * scale
                scores.append(score)
                seen.append(value[j])
        outputs.append(mixture(scores, seen, len(value[0])))
    return outputs


def additive(query, key, w_a, u_a, v_a):
    """The contexts c_i of one sentence: e_ij = v_a . tanh(W_a s_i + U_a h_j)."""
    contexts = []
    for s in query:
        from_query, scores = product(w_a, s), []
        for h in key:
            score, from_key = 0, product(u_a, h)
            for c in range(len(v_a)):
                score += v_a[c] * cmath.tanh(from_query[c] + from_key[c])
            scores.append(score)
        contexts.append(mixture(scores, key, len(key[0])))
    return contexts


def mixture(scores, vectors, length):
    """The vectors, each by its share of the scores; zeros where there is none."""
    total = [0 for _ in range(length)]
    if len(scores) > 0:
        for j, share in enumerate(shares(scores)):
            for c in range(length):
                total[c] += share * vectors[j][c]
    return total
