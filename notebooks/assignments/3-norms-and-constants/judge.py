"""What set 3 asks, and what is right."""

import math

import torch

from classroom.questions import Judge, Mistake, Part, Question


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def positive(rng, *shape):
    return 0.2 + 2 * torch.rand(*shape, generator=rng, dtype=torch.float64)


def each_channel(values):
    return values[:, None, None]


# ---- normalise ----


def normalise(
    x,
    gamma,
    beta,
    mean,
    variance,
    training,
    momentum,
    eps,
    kept=True,
    biased=False,
    keep_old=False,
):
    if training:
        now, spread = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        stored = x.var((0, 2, 3), correction=0 if biased else 1)
        share = momentum if not keep_old else 1 - momentum
        new = (
            (1 - share) * mean + share * now,
            (1 - share) * variance + share * stored,
        )
    else:
        now, spread, new = mean, variance, (mean, variance)
    y = each_channel(gamma) * (x - each_channel(now)) / each_channel(
        spread + eps
    ).sqrt() + each_channel(beta)
    return y, *new


def wrong(**how):
    return lambda *arguments: normalise(*arguments, **how)


def confused(x, gamma, beta, mean, variance, training, momentum, eps):
    return normalise(
        x, gamma, beta, mean, variance, not training, momentum, eps
    )


def norms(rng, training):
    for n, channels, height, width in ((4, 3, 3, 2), (2, 5, 1, 4)):
        parts = (
            normal(rng, channels),
            normal(rng, channels),
            normal(rng, channels),
            positive(rng, channels),
        )
        yield (
            2 + 3 * normal(rng, n, channels, height, width),
            *parts,
            training,
            0.1,
            1e-5,
        )


def large_eps(rng):
    for training in (True, False):
        x, *rest, _, _ = next(norms(rng, training))
        yield x / 10, *rest, 0.3, 0.5


# ---- scale as a weight ----


def squared_gate(
    x, gamma, beta, mean, variance, power=2.0, signed=False, bare=False
):
    weight = (gamma if signed else gamma.abs()) ** power
    weight = weight / weight.sum()
    y = normalise(x, gamma, beta, mean, variance, False, 0.1, 1e-5)[0]
    return x * torch.sigmoid(each_channel(weight) * (x if bare else y))


def scales(rng):
    for n, channels, height, width in ((2, 4, 3, 5), (1, 6, 2, 2)):
        parts = (
            normal(rng, channels),
            normal(rng, channels),
            normal(rng, channels),
            positive(rng, channels),
        )
        yield normal(rng, n, channels, height, width), *parts


def one_channel(rng):
    yield (
        normal(rng, 2, 1, 3, 3),
        normal(rng, 1),
        normal(rng, 1),
        normal(rng, 1),
        positive(rng, 1),
    )


# ---- the best constant ----


def best_constant(x, gate):
    energy = (x**2).sum((2, 3))
    return (gate * energy).sum(0) / energy.sum(0)


def gates(rng):
    for n, channels, height, width in ((6, 4, 3, 2), (3, 5, 4, 4)):
        x = normal(rng, n, channels, height, width) * positive(
            rng, n, 1, 1, 1
        )
        yield (
            x,
            torch.rand(n, channels, generator=rng, dtype=torch.float64),
        )


def level(rng):
    x = normal(rng, 4, 3, 2, 2)
    yield x, torch.full((4, 3), 0.25, dtype=torch.float64)


# ---- folding ----


def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    scale = constant * gamma / (variance + eps).sqrt()
    return weight * scale[:, None, None, None], (
        bias - mean
    ) * scale + constant * beta


def convolutions(rng):
    for outputs, inputs, size in ((3, 2, 3), (5, 4, 1)):
        parts = (
            normal(rng, outputs),
            normal(rng, outputs),
            normal(rng, outputs),
            positive(rng, outputs),
        )
        constant = round(
            0.2 + 0.7 * torch.rand((), generator=rng).item(), 3
        )
        yield (
            normal(rng, outputs, inputs, size, size),
            normal(rng, outputs),
            *parts,
            1e-2,
            constant,
        )


# ---- seeds ----


def interval(ours, control, quantile, correction=1, root=True):
    difference = ours - control
    half = quantile * difference.std(correction=correction)
    half = half / math.sqrt(len(difference)) if root else half
    return difference.mean() - half, difference.mean() + half


def biased(ours, control, quantile):
    return interval(ours, control, quantile, correction=0)


def no_root(ours, control, quantile):
    return interval(ours, control, quantile, root=False)


def unpaired(ours, control, quantile):
    half = quantile * ((ours.var() + control.var()) / len(ours)).sqrt()
    middle = ours.mean() - control.mean()
    return middle - half, middle + half


def seeds(rng):
    for count, quantile in ((3, 4.303), (5, 2.776), (8, 2.365)):
        common = 90 + normal(rng, count)
        yield (
            common + 0.3 * normal(rng, count) + 0.2,
            common + 0.3 * normal(rng, count),
            quantile,
        )


# ---- ranges that do not overlap ----


def separated(first, second):
    above = first.amin(1) > second.amax(1)
    below = first.amax(1) < second.amin(1)
    return (above | below).double().mean()


def trials(rng):
    for count, of_each in ((50, 3), (40, 2), (30, 5)):
        yield (
            normal(rng, count, of_each),
            normal(rng, count, of_each) + 0.8,
        )


JUDGE = Judge(
    title="Norms and constants: what is a control?",
    questions=(
        Question(
            "normalise",
            "normalise",
            (
                Part(
                    "in training: output and new running statistics",
                    3,
                    lambda rng: list(norms(rng, True)),
                    normalise,
                    mistakes=(
                        Mistake(
                            wrong(biased=True),
                            "the running variance is the unbiased one, as torch stores it",
                        ),
                        Mistake(
                            wrong(keep_old=True),
                            "momentum is the share of the new statistics, not of the old",
                        ),
                        Mistake(
                            confused,
                            "in training the batch's own statistics normalise",
                        ),
                    ),
                ),
                Part(
                    "in evaluation: the running statistics, unchanged",
                    2,
                    lambda rng: list(norms(rng, False)),
                    normalise,
                    mistakes=(
                        Mistake(
                            confused,
                            "in evaluation the running statistics normalise",
                        ),
                    ),
                ),
                Part(
                    "a large eps stands under the root",
                    1,
                    lambda rng: list(large_eps(rng)),
                    normalise,
                ),
            ),
        ),
        Question(
            "gate",
            "squared_gate",
            (
                Part(
                    "squares of the scales as weights",
                    3,
                    lambda rng: list(scales(rng)),
                    squared_gate,
                    mistakes=(
                        Mistake(
                            lambda *a: squared_gate(*a, power=1.0),
                            "these are the absolute values of the scales, as in the chapter; squares are asked for",
                        ),
                        Mistake(
                            lambda *a: squared_gate(*a, bare=True),
                            "the weight multiplies the normalised map",
                        ),
                    ),
                ),
                Part(
                    "one channel",
                    1,
                    lambda rng: list(one_channel(rng)),
                    squared_gate,
                ),
            ),
        ),
        Question(
            "constant",
            "best_constant",
            (
                Part(
                    "the constants nearest to the gated maps",
                    4,
                    lambda rng: list(gates(rng)),
                    best_constant,
                    mistakes=(
                        Mistake(
                            lambda x, gate: gate.mean(0),
                            "the mean gate counts every image alike; an image with large values moves the output more",
                        ),
                        Mistake(
                            lambda x, gate: (
                                (gate * (x**2).sum((2, 3))).sum()
                                / (x**2).sum()
                            ),
                            "one constant for each channel is asked for",
                        ),
                        Mistake(
                            lambda x, gate: (
                                (gate * x.abs().sum((2, 3))).sum(0)
                                / x.abs().sum((0, 2, 3))
                            ),
                            "set the derivative of the squared distance to zero: the map enters by its square",
                        ),
                    ),
                ),
                Part(
                    "a gate that is a constant already",
                    1,
                    lambda rng: list(level(rng)),
                    best_constant,
                    edge=True,
                ),
            ),
        ),
        Question(
            "fold",
            "fold",
            (
                Part(
                    "convolution, norm and constant as one convolution",
                    4,
                    lambda rng: list(convolutions(rng)),
                    fold,
                    mistakes=(
                        Mistake(
                            lambda w, b, g, be, m, v, eps, c: fold(
                                w, b, g, be, m, v, 0.0, c
                            ),
                            "eps is missing",
                        ),
                        Mistake(
                            lambda w, b, g, be, m, v, eps, c: (
                                fold(w, b, g, be, m, v, eps, c)[0],
                                (b - m) * c * g / (v + eps).sqrt() + be,
                            ),
                            "the constant multiplies beta as well",
                        ),
                        Mistake(
                            lambda w, b, g, be, m, v, eps, c: (
                                fold(w, b, g, be, m, v, eps, c)[0],
                                -m * c * g / (v + eps).sqrt() + c * be,
                            ),
                            "the convolution's own bias is missing",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "interval",
            "interval",
            (
                Part(
                    "the interval of a mean difference",
                    4,
                    lambda rng: list(seeds(rng)),
                    interval,
                    mistakes=(
                        Mistake(
                            biased,
                            "the deviation of a sample divides by one less than its size",
                        ),
                        Mistake(
                            no_root,
                            "this is how far one difference lies from the mean, not how far the mean may be off",
                        ),
                        Mistake(
                            unpaired,
                            "runs of one seed belong together: take their differences first",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "separated",
            "separated",
            (
                Part(
                    "the share of trials whose ranges do not overlap",
                    3,
                    lambda rng: list(trials(rng)),
                    separated,
                    mistakes=(
                        Mistake(
                            lambda a, b: (
                                (a.amin(1) > b.amax(1)).double().mean()
                            ),
                            "the second may lie above the first as well",
                        ),
                        Mistake(
                            lambda a, b: (
                                (a.mean(1) != b.mean(1)).double().mean()
                            ),
                            "means always differ; compare the ranges",
                        ),
                    ),
                ),
            ),
        ),
    ),
    refused={
        "*batch_norm*": "it is the answer; write out what it does",
        "*BatchNorm*": "it is the answer; write out what it does",
        "*instance_norm*": "it is the answer; write out what it does",
        "*InstanceNorm*": "it is the answer; write out what it does",
        "*group_norm*": "it is the answer; write out what it does",
        "GroupNorm": "it is the answer; write out what it does",
        "*layer_norm*": "it is the answer; write out what it does",
        "LayerNorm": "it is the answer; write out what it does",
        "*fuse_conv_bn*": "it is the answer; write out what it does",
    },
)
