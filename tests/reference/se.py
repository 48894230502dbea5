"""Squeeze-and-Excitation: Hu et al., arXiv 1709.01507, equations 2 to 4, Section 7.1, Tables 11 and 12."""

import cmath

from tests.reference.scalar import larger, relu, sigmoid, zeros_like

ACTIVATIONS = {"sigmoid": sigmoid, "tanh": cmath.tanh, "relu": relu}


def se(u, w_1, w_2, b_1=None, b_2=None, squeeze="avg", activation="sigmoid"):
    """x~_c = s_c u_c with s = activation(W_2 relu(W_1 z + b_1) + b_2); w_1[k][c], w_2[c][k]."""
    act = ACTIVATIONS[activation]
    y = zeros_like(u)
    for n, image in enumerate(u):
        height, width = len(image[0]), len(image[0][0])
        if squeeze != "none":
            s = excitation([squeezed(plane, squeeze) for plane in image], w_1, w_2, b_1, b_2)
        for i in range(height):
            for j in range(width):
                if squeeze == "none":
                    s = excitation([plane[i][j] for plane in image], w_1, w_2, b_1, b_2)
                for c in range(len(image)):
                    y[n][c][i][j] = act(s[c]) * image[c][i][j]
    return y, {}


def squeezed(plane, squeeze):
    """z_c: the average of a channel, equation 2, or its maximum, Table 11."""
    if squeeze == "max":
        z = plane[0][0]
        for row in plane:
            for value in row:
                z = larger(z, value)
        return z
    total = 0
    for row in plane:
        for value in row:
            total += value
    return total / (len(plane) * len(plane[0]))


def excitation(z, w_1, w_2, b_1, b_2):
    """W_2 relu(W_1 z), equation 3 before the sigmoid, with the released models' biases where they are given."""
    hidden = []
    for k in range(len(w_1)):
        h = b_1[k] if b_1 is not None else 0
        for c in range(len(z)):
            h += w_1[k][c] * z[c]
        hidden.append(relu(h))
    logits = []
    for c in range(len(w_2)):
        logit = b_2[c] if b_2 is not None else 0
        for k in range(len(hidden)):
            logit += w_2[c][k] * hidden[k]
        logits.append(logit)
    return logits
