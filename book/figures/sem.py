"""SEM: one squeeze, three operators whose logits a decision of the image scales, and the product of their sigmoids."""

import torch

import attnlib
from book.figures.patterns import patterns
from book.figures.residual import residual_block
from book.figures.se import listed
from book.figures.shapes import Picture

CHANNELS, PIXELS, SIZE, PITCH = 4, 8, 40, 56
COLUMNS = {"x": 36, "z": 88, "fc": 136, "cnn": 176, "ie": 216, "g": 262, "y": 310}
BAR = 30


def pictures() -> list[Picture]:
    return [residual_block("sem-block", "SEM", "SEM scales the branch, never the shortcut"), steps()]


def steps() -> Picture:
    x, z, w, factors, gate, y = numbers()
    picture = Picture(
        "sem-steps",
        height=404,
        title="What SEM does: three excitations, weighed by a decision, then multiplied",
        description=f"Each of four channels of a map x is averaged to one number z: {listed(z)}. From all four means a "
        f"linear layer and sigmoids decide on three weights w for this image: {listed(w)}. Three operators, FC as in "
        "SE, CNN as in ECA and IE as in IEBN, make a logit e for every channel each; it is multiplied by the "
        "operator's weight and goes through a sigmoid. The product of the three sigmoids is the gate of the channel: "
        f"{listed(gate)}. The channels multiplied by their gates are the output y. The sigmoid of an operator with a "
        "weight near zero is near one half.",
    )
    picture.also(W_1="weight", W_2="weight", W_d="weight", b_1="weight", b_2="weight", b_d="weight")
    picture.also(v="weight", α="weight", β="weight")
    top = 186
    picture.text(170, 14, "1. Decide for this image", "head")
    picture.symbol(COLUMNS["z"], 84, "z", "statistic")
    picture.text(COLUMNS["z"], 100, "C", "small")
    picture.box(118, 26, 116, 24, "linear, sigmoids", wash="weight")
    picture.arrow((COLUMNS["z"], 72), (COLUMNS["z"], 38), (118, 38))
    for name, words, value in zip(("fc", "cnn", "ie"), ("FC", "CNN", "IE"), w, strict=True):
        picture.arrow((COLUMNS[name], 50), (COLUMNS[name], 60))
        picture.bar(COLUMNS[name] - BAR / 2, 68, value, "gate", length=BAR)
        picture.text(COLUMNS[name], top - 32, words, "small")
    picture.symbol(COLUMNS["g"] - 12, 72, "w", "gate", sub="k")
    picture.text(170, 118, "2. Multiply three sigmoids of weighed logits", "head")
    for letter, kind, shape in (("x", "map", "C×H×W"), ("g", "gate", "C"), ("y", "output", "C×H×W")):
        centre = COLUMNS[letter]
        picture.symbol(centre, 140, letter, kind)
        picture.text(centre, 154, shape, "small")
    picture.text(COLUMNS["cnn"], 140, "σ(", "", anchor="end")
    picture.symbol(COLUMNS["cnn"] + 1, 140, "w", "gate", sub="k", anchor="start")
    picture.symbol(COLUMNS["cnn"] + 25, 140, "e", "statistic", sub="k", anchor="start")
    picture.text(COLUMNS["cnn"] + 47, 140, ")", "", anchor="start")
    for c in range(CHANNELS):
        middle = top + PITCH * c
        picture.text(6, middle + 4, c + 1, "small")
        picture.tile(COLUMNS["x"] - SIZE / 2, middle - SIZE / 2, SIZE, x[c])
        picture.arrow((COLUMNS["x"] + SIZE / 2 + 2, middle), (COLUMNS["z"] - BAR / 2 + 2, middle))
        picture.bar(COLUMNS["z"] - BAR / 2 + 3, middle, z[c], "statistic", length=BAR - 4)
        for name, values in zip(("fc", "cnn", "ie"), factors, strict=True):
            picture.bar(COLUMNS[name] - BAR / 2, middle, values[c], "gate", length=BAR)
        for left, sign in (("fc", "×"), ("cnn", "×"), ("ie", "=")):
            right = {"fc": "cnn", "cnn": "ie", "ie": "g"}[left]
            picture.text((COLUMNS[left] + COLUMNS[right]) / 2, middle + 4, sign, "small")
        picture.bar(COLUMNS["g"] - BAR / 2, middle, gate[c], "gate", length=BAR)
        picture.arrow((COLUMNS["g"] + BAR / 2 + 2, middle), (COLUMNS["y"] - SIZE / 2 - 1, middle))
        picture.tile(COLUMNS["y"] - SIZE / 2, middle - SIZE / 2, SIZE, y[c], "output")
    picture.text(170, 396, "A weight near 0: its factor is one half (CNN here).")
    return picture


def numbers() -> tuple:
    """Map, means, decision weights, the three sigmoids of every channel, gates, output, as lists."""
    x = patterns(CHANNELS, PIXELS)
    module = attnlib.create("sem", CHANNELS, reduction=CHANNELS).eval()
    with torch.no_grad():
        z = x.mean((1, 2))
        module.decide.weight.zero_()
        module.decide.bias.copy_(torch.tensor([1.4, -4.0, 0.3]))
        fc, cnn, ie = module.operators.values()
        fc[0].weight.copy_(torch.tensor([[2.0, -1.0, 2.0, 0.5]]))
        fc[0].bias.zero_()
        fc[2].weight.copy_(torch.tensor([[2.5], [-1.5], [1.0], [-2.5]]))
        fc[2].bias.copy_(torch.tensor([0.4, 0.6, 1.2, 0.2]))
        cnn.weight.fill_(3.0)  # four channels have a kernel of one
        ie.scale.fill_(6.0)
        w = module.decision(x[None])[0]
        factors = [
            torch.sigmoid(weight * operator(z[None]))[0] for weight, operator in zip(w, (fc, cnn, ie), strict=True)
        ]
        gate = module.gate(x[None])[0]
        y = module(x[None])[0]
    return x.tolist(), z.tolist(), w.tolist(), [f.tolist() for f in factors], gate.flatten().tolist(), y.tolist()
