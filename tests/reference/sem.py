"""Switchable excitation: Zhong, Wen and Qin, arXiv 2209.05680."""

from tests.reference.eca import slid
from tests.reference.layers import average, product
from tests.reference.scalar import relu, sigmoid, zeros_like


def sem(x, decide, fc=None, cnn=None, ie=None, operators=("fc", "cnn", "ie")):
    """x times the product over the operators of sigmoid(w e), with w = sigmoid(W_d m + b_d) and m the channel means.

    `decide` holds the matrix w and the bias b, `fc` w_1, b_1, w_2 and b_2, `cnn` its kernel w[0][0], `ie` scale and
    shift.
    """
    y = zeros_like(x)
    for n, image in enumerate(x):
        m = [average(plane) for plane in image]
        logits = {}
        if fc is not None:
            hidden = [relu(h) for h in product(fc["w_1"], m, fc["b_1"])]
            logits["fc"] = product(fc["w_2"], hidden, fc["b_2"])
        if cnn is not None:
            logits["cnn"] = [slid(m, cnn["w"][0][0], i) for i in range(len(m))]
        if ie is not None:
            logits["ie"] = [ie["scale"][i] * m[i] + ie["shift"][i] for i in range(len(m))]
        decisions = [sigmoid(logit) for logit in product(decide["w"], m, decide["b"])]
        for c, plane in enumerate(image):
            gate = 1
            for position, operator in enumerate(operators):
                gate = gate * sigmoid(decisions[position] * logits[operator][c])
            for a, row in enumerate(plane):
                for b, value in enumerate(row):
                    y[n][c][a][b] = gate * value
    return y, {}
