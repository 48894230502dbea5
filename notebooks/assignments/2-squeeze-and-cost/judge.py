"""What set 2 asks, and what is right."""

import torch

from classroom.questions import Judge, Mistake, Part, Question


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def whole(rng, low, high):
    return int(torch.randint(low, high, (), generator=rng))


# ---- squeeze ----


def squeeze(x, valid):
    seen = valid[:, None].double()
    return (x * seen).sum((2, 3)) / seen.sum((2, 3)).clamp(min=1)


def padded(rng):
    for n, channels, height, width in (
        (2, 3, 5, 7),
        (1, 8, 4, 4),
        (3, 1, 6, 3),
    ):
        valid = torch.rand(n, height, width, generator=rng) < 0.7
        valid[:, 0, 0] = True
        yield normal(rng, n, channels, height, width), valid


def empty(rng):
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[1] = False
    yield normal(rng, 2, 5, 3, 4), valid


# ---- excite ----


def excite(z, w1, b1, w2, b2):
    return 2 * torch.sigmoid(torch.tanh(z @ w1.T + b1) @ w2.T + b2)


def layers(rng):
    for n, channels, inner in ((3, 8, 2), (1, 6, 4), (2, 5, 5)):
        yield (
            normal(rng, n, channels),
            normal(rng, inner, channels),
            normal(rng, inner),
            normal(rng, channels, inner),
            normal(rng, channels),
        )


def at_start(rng):
    yield (
        normal(rng, 2, 6),
        normal(rng, 3, 6),
        normal(rng, 3),
        torch.zeros(6, 3, dtype=torch.float64),
        torch.zeros(6, dtype=torch.float64),
    )


# ---- block ----


def block(x, branch, gate):
    return torch.relu(x + gate[:, :, None, None] * branch)


def maps(rng):
    for n, channels, height, width in ((2, 4, 3, 5), (1, 7, 6, 6)):
        x = normal(rng, n, channels, height, width)
        yield (
            x,
            normal(rng, *x.shape),
            torch.rand(n, channels, generator=rng, dtype=torch.float64)
            * 2,
        )


# ---- parameters, cost ----


def inner(channels, reduction, least):
    return max(least, channels // reduction)


def parameters(channels, reduction, least):
    width = inner(channels, reduction, least)
    return channels * width + width + width * channels + channels


def modules(rng):
    for channels in (64, 100, 48, whole(rng, 20, 300)):
        yield channels, whole(rng, 2, 17), 1
    yield 16, 16, 8
    yield 24, 16, 4


def network(stages, reduction, least):
    return sum(
        blocks * parameters(channels, reduction, least)
        for channels, blocks in stages
    )


def networks(rng):
    yield [(16, 3), (32, 3), (64, 3)], 16, 4
    yield [(whole(rng, 8, 90), whole(rng, 1, 6)) for _ in range(4)], 8, 1


def multiplications(channels, height, width, reduction):
    return (
        2 * channels * (channels // reduction) + channels * height * width
    )


def blocks(rng):
    yield 64, 32, 32, 16
    yield 256, 7, 9, 4
    yield whole(rng, 32, 129), whole(rng, 5, 40), whole(rng, 5, 40), 2


# ---- backward ----


def backward(x, a, b, upstream):
    gate = torch.sigmoid(a * x.mean() + b)
    return (
        upstream * gate
        + (upstream * x).sum() * gate * (1 - gate) * a / x.numel()
    )


def one_channel(rng):
    for height, width in ((3, 4), (5, 5)):
        a, b = normal(rng, 2).tolist()
        yield normal(rng, height, width), a, b, normal(rng, height, width)


def no_reaction(rng):
    yield normal(rng, 4, 3), 0.0, 0.3, normal(rng, 4, 3)


JUDGE = Judge(
    title="Squeeze, excite, and what it costs",
    questions=(
        Question(
            "squeeze",
            "squeeze",
            (
                Part(
                    "means of the valid positions",
                    3,
                    lambda rng: list(padded(rng)),
                    squeeze,
                    mistakes=(
                        Mistake(
                            lambda x, valid: (x * valid[:, None]).mean(
                                (2, 3)
                            ),
                            "the sum is over the valid positions, and the divisor counts all of them",
                        ),
                        Mistake(
                            lambda x, valid: x.mean((2, 3)),
                            "the padding is in the mean",
                        ),
                        Mistake(
                            lambda x, valid: (x * valid[:, None]).sum(
                                (2, 3)
                            ),
                            "this is the sum; a mean is asked for",
                        ),
                    ),
                ),
                Part(
                    "a map without a valid position",
                    1,
                    lambda rng: list(empty(rng)),
                    squeeze,
                ),
            ),
        ),
        Question(
            "excite",
            "excite",
            (
                Part(
                    "gates from a tanh bottleneck",
                    3,
                    lambda rng: list(layers(rng)),
                    excite,
                    mistakes=(
                        Mistake(
                            lambda z, w1, b1, w2, b2: (
                                excite(z, w1, b1, w2, b2) / 2
                            ),
                            "the gates lie between 0 and 1, not 2",
                        ),
                        Mistake(
                            lambda z, w1, b1, w2, b2: (
                                2
                                * torch.sigmoid(
                                    torch.relu(z @ w1.T + b1) @ w2.T + b2
                                )
                            ),
                            "this is the bottleneck of the chapter, with ReLU",
                        ),
                        Mistake(
                            lambda z, w1, b1, w2, b2: (
                                2
                                * torch.sigmoid(
                                    (z @ w1.T + b1) @ w2.T + b2
                                )
                            ),
                            "between the two matrices nothing bends: they could be one",
                        ),
                        Mistake(
                            lambda z, w1, b1, w2, b2: (
                                2
                                * torch.sigmoid(
                                    torch.tanh(z @ w1.T) @ w2.T
                                )
                            ),
                            "the biases are missing",
                        ),
                    ),
                ),
                Part(
                    "a second layer of zeros",
                    1,
                    lambda rng: list(at_start(rng)),
                    excite,
                    edge=True,
                ),
            ),
        ),
        Question(
            "block",
            "block",
            (
                Part(
                    "the gate's place in a residual block",
                    3,
                    lambda rng: list(maps(rng)),
                    block,
                    mistakes=(
                        Mistake(
                            lambda x, f, g: torch.relu(
                                g[:, :, None, None] * (x + f)
                            ),
                            "the gate also scales what skips the branch",
                        ),
                        Mistake(
                            lambda x, f, g: (
                                x + torch.relu(g[:, :, None, None] * f)
                            ),
                            "the ReLU comes before the addition",
                        ),
                        Mistake(
                            lambda x, f, g: x + g[:, :, None, None] * f,
                            "the ReLU is missing",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "parameters",
            "parameters",
            (
                Part(
                    "one module, its biases and its least width",
                    3,
                    lambda rng: list(modules(rng)),
                    parameters,
                    mistakes=(
                        Mistake(
                            lambda c, r, least: 2 * c * inner(c, r, least),
                            "the biases are missing",
                        ),
                        Mistake(
                            lambda c, r, least: parameters(c, r, 1),
                            "the inner layer is never narrower than `least`",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "network",
            "network_parameters",
            (
                Part(
                    "all modules of a network",
                    2,
                    lambda rng: list(networks(rng)),
                    network,
                ),
            ),
        ),
        Question(
            "multiplications",
            "multiplications",
            (
                Part(
                    "multiplications of one module",
                    3,
                    lambda rng: list(blocks(rng)),
                    multiplications,
                    mistakes=(
                        Mistake(
                            lambda c, h, w, r: (
                                2 * c * (c // r) * h * w + c * h * w
                            ),
                            "the two matrices meet one vector a map, not one at every position",
                        ),
                        Mistake(
                            lambda c, h, w, r: 2 * c * (c // r),
                            "the map is also multiplied by its gate",
                        ),
                        Mistake(
                            lambda c, h, w, r: c * (c // r) + c * h * w,
                            "there are two matrices",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "backward",
            "backward",
            (
                Part(
                    "both ways from the output to the map",
                    4,
                    lambda rng: list(one_channel(rng)),
                    backward,
                    atol=1e-13,  # which differences of outputs do not reach
                    mistakes=(
                        Mistake(
                            lambda x, a, b, u: (
                                u * torch.sigmoid(a * x.mean() + b)
                            ),
                            "this takes the gate for a constant; it depends on the map as well",
                        ),
                        Mistake(
                            lambda x, a, b, u: (
                                u * torch.sigmoid(a * x.mean() + b)
                                + (u * x).sum()
                                * torch.sigmoid(a * x.mean() + b)
                                * (1 - torch.sigmoid(a * x.mean() + b))
                                * a
                            ),
                            "a position moves the mean by a share of itself alone",
                        ),
                    ),
                ),
                Part(
                    "a gate that does not react",
                    1,
                    lambda rng: list(no_reaction(rng)),
                    backward,
                    edge=True,
                ),
            ),
        ),
    ),
    refused={
        "grad": "the gradient is asked for by hand",
        "autograd": "the gradient is asked for by hand",
        "register_*hook": "the gradient is asked for by hand",
        "retain_grad": "the gradient is asked for by hand",
        "jac*": "the gradient is asked for by hand",
        "[jv][vj]p": "the gradient is asked for by hand",
        "hessian": "the gradient is asked for by hand",
        "linearize": "the gradient is asked for by hand",
        "grad_and_value": "the gradient is asked for by hand",
    },
)
