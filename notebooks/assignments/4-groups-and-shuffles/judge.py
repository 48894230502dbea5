"""What set 4 asks, and what is right."""

import torch

from classroom.questions import Judge, Mistake, Part, Question


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


# ---- similarity ----


def similarity(x, groups):
    n, channels, height, width = x.shape
    grouped = x.reshape(n, groups, channels // groups, height, width)
    return cosine(grouped)


def cosine(grouped, unit=True):
    mean = grouped.mean((3, 4), keepdim=True)
    dot = (grouped * mean).sum(2)
    if not unit:
        return dot
    lengths = grouped.norm(dim=2) * mean.norm(dim=2)
    return torch.where(
        lengths > 0,
        dot / lengths.where(lengths > 0, torch.ones_like(lengths)),
        torch.zeros_like(dot),
    )


def apart(x, groups):
    """Groups of every groups-th channel instead of neighbours."""
    n, channels, height, width = x.shape
    return cosine(
        x.reshape(n, channels // groups, groups, height, width).transpose(
            1, 2
        )
    )


def maps(rng):
    yield normal(rng, 2, 6, 3, 5), 2
    yield normal(rng, 1, 8, 4, 4), 4
    yield normal(rng, 3, 5, 2, 3), 1


def with_zeros(rng):
    x = normal(rng, 2, 4, 3, 3)
    x[0, :2, 1, 1] = 0
    x[1] = 0
    yield x, 2


# ---- standardise ----


def standardise(s, eps, correction=1, under=False, dims=(2, 3)):
    centred = s - s.mean(dims, keepdim=True)
    if s.shape[2] * s.shape[3] == 1:
        return torch.zeros_like(s)
    spread = s.var(dims, correction=correction, keepdim=True)
    return centred / (
        (spread + eps).sqrt() if under else spread.sqrt() + eps
    )


def scores(rng):
    yield 2 + normal(rng, 2, 3, 4, 5), 1e-5
    yield normal(rng, 1, 2, 2, 2), 0.3


def single(rng):
    yield normal(rng, 2, 3, 1, 1), 1e-5


# ---- shuffle ----


def deal(x, sizes):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    order = [
        start + turn
        for turn in range(max(sizes))
        for start, size in zip(starts, sizes, strict=True)
        if turn < size
    ]
    return x[:, order]


def blocks(x, sizes):
    """The other way round: what undoes the shuffle."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    order = [
        start + turn
        for turn in range(max(sizes))
        for start, size in zip(starts, sizes, strict=True)
        if turn < size
    ]
    return x[:, torch.tensor(order).argsort()]


def by_group(x, sizes):
    """The groups themselves in another order."""
    return torch.cat(list(reversed(x.split(list(sizes), dim=1))), 1)


def equal(rng):
    yield normal(rng, 2, 6, 2, 3), [3, 3]
    yield normal(rng, 1, 12, 1, 2), [4, 4, 4]
    yield normal(rng, 1, 12, 2, 1), [3, 3, 3, 3]


def unequal(rng):
    yield normal(rng, 2, 6, 2, 2), [1, 3, 2]
    yield normal(rng, 1, 9, 3, 1), [4, 2, 3]
    yield normal(rng, 1, 5, 2, 2), [5]


# ---- inverse, period ----


def inverse(order):
    return order.argsort()


def orders(rng):
    for count in (5, 8, 12):
        yield (torch.randperm(count, generator=rng),)


def period(order):
    current, steps = order.clone(), 1
    while not torch.equal(current, torch.arange(len(order))):
        current, steps = current[order], steps + 1
    return steps


def longest_cycle(order):
    seen, longest = set(), 0
    for start in range(len(order)):
        length, at = 0, start
        while at not in seen:
            seen.add(at)
            at, length = int(order[at]), length + 1
        longest = max(longest, length)
    return longest


def cycles(rng):
    yield (
        torch.tensor([1, 2, 0, 4, 3]),
    )  # a cycle of three beside one of two: six steps, and the longest has three
    yield (torch.arange(12).reshape(3, 4).T.reshape(-1),)
    for count in (7, 9):
        yield (torch.randperm(count, generator=rng),)


def nothing_moves(rng):
    yield (torch.arange(6),)


# ---- reach ----


def reach(channels, groups, layers):
    size = channels // groups
    at = torch.arange(channels)
    mixed = (at[:, None] // size == at[None, :] // size).double()
    shuffled = mixed[
        torch.arange(channels).reshape(groups, size).T.reshape(-1)
    ]
    found = torch.eye(channels, dtype=torch.float64)
    for _ in range(layers):
        found = shuffled @ found
    return found > 0


def without_shuffle(channels, groups, layers):
    at = torch.arange(channels)
    size = channels // groups
    return at[:, None] // size == at[None, :] // size


def networks(rng):
    yield 6, 2, 1
    yield 8, 4, 2
    yield 12, 3, 2
    yield 16, 8, 3


def nothing(rng):
    yield 4, 2, 0


# ---- local mean ----


def local_mean(x, size):
    reach_of = size // 2
    height, width = x.shape
    out = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            rows = slice(max(0, i - reach_of), i + reach_of + 1)
            columns = slice(max(0, j - reach_of), j + reach_of + 1)
            out[i, j] = x[rows, columns].mean()
    return out


def zeros_counted(x, size):
    padded = torch.nn.functional.pad(x, [size // 2] * 4)
    return padded.unfold(0, size, 1).unfold(1, size, 1).mean((2, 3))


def one_short(x, size):
    reach_of = size // 2
    height, width = x.shape
    out = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            out[i, j] = (
                x[
                    max(0, i - reach_of) : i + reach_of,
                    max(0, j - reach_of) : j + reach_of,
                ].mean()
                if size > 1
                else x[i, j]
            )
    return out


def windows(rng):
    yield normal(rng, 5, 7), 3
    yield normal(rng, 6, 4), 5
    yield normal(rng, 3, 3), 1


def wide(rng):
    yield normal(rng, 3, 4), 9


JUDGE = Judge(
    title="Groups and shuffles",
    questions=(
        Question(
            "similarity",
            "similarity",
            (
                Part(
                    "the cosine with the group's mean",
                    4,
                    lambda rng: list(maps(rng)),
                    similarity,
                    mistakes=(
                        Mistake(
                            apart,
                            "a group is made of neighbouring channels, not of every so-manieth",
                        ),
                        Mistake(
                            lambda x, groups: cosine(
                                x.reshape(
                                    x.shape[0], groups, -1, *x.shape[2:]
                                ),
                                unit=False,
                            ),
                            "this is the dot product; the lengths are not divided out",
                        ),
                    ),
                ),
                Part(
                    "vectors of length zero",
                    1,
                    lambda rng: list(with_zeros(rng)),
                    similarity,
                ),
            ),
        ),
        Question(
            "standardise",
            "standardise",
            (
                Part(
                    "mean zero, deviation one, over positions",
                    3,
                    lambda rng: list(scores(rng)),
                    standardise,
                    mistakes=(
                        Mistake(
                            lambda s, eps: standardise(
                                s, eps, correction=0
                            ),
                            "the deviation is the unbiased one",
                        ),
                        Mistake(
                            lambda s, eps: standardise(s, eps, under=True),
                            "eps is added to the deviation, not to the variance",
                        ),
                        Mistake(
                            lambda s, eps: standardise(
                                s, eps, dims=(0, 2, 3)
                            ),
                            "images of a batch are not mixed; each has its own",
                        ),
                        Mistake(
                            lambda s, eps: standardise(
                                s, eps, dims=(1, 2, 3)
                            ),
                            "each group has its own mean and deviation",
                        ),
                    ),
                ),
                Part(
                    "a map of one position",
                    1,
                    lambda rng: list(single(rng)),
                    standardise,
                    edge=True,
                ),
            ),
        ),
        Question(
            "deal",
            "deal",
            (
                Part(
                    "equal groups, a channel of each in turn",
                    3,
                    lambda rng: list(equal(rng)),
                    deal,
                    mistakes=(
                        Mistake(
                            blocks,
                            "this is the shuffle the other way round: it undoes what is asked for",
                        ),
                        Mistake(
                            by_group,
                            "whole groups changed places; channels of different groups become neighbours",
                        ),
                    ),
                ),
                Part(
                    "unequal groups",
                    3,
                    lambda rng: list(unequal(rng)),
                    deal,
                ),
            ),
        ),
        Question(
            "inverse",
            "inverse",
            (
                Part(
                    "the order that undoes an order",
                    2,
                    lambda rng: list(orders(rng)),
                    inverse,
                    mistakes=(
                        Mistake(
                            lambda order: order.flip(0),
                            "reading an order backwards does not undo it",
                        ),
                        Mistake(
                            lambda order: order,
                            "an order undoes itself only where it exchanges pairs",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "period",
            "period",
            (
                Part(
                    "how often until all is back",
                    2,
                    lambda rng: list(cycles(rng)),
                    period,
                    mistakes=(
                        Mistake(
                            longest_cycle,
                            "the channels of the longest cycle are back, and others may not be",
                        ),
                        Mistake(
                            lambda order: len(order),
                            "it is not always as many times as there are channels",
                        ),
                    ),
                ),
                Part(
                    "an order that moves nothing",
                    1,
                    lambda rng: list(nothing_moves(rng)),
                    period,
                    edge=True,
                ),
            ),
        ),
        Question(
            "reach",
            "reach",
            (
                Part(
                    "what depends on what",
                    3,
                    lambda rng: list(networks(rng)),
                    reach,
                    mistakes=(
                        Mistake(
                            lambda c, g, n: reach(c, g, n).T,
                            "rows are outputs, columns inputs",
                        ),
                        Mistake(
                            without_shuffle,
                            "without the shuffle no layer reaches another group",
                        ),
                    ),
                ),
                Part(
                    "no layer at all",
                    1,
                    lambda rng: list(nothing(rng)),
                    reach,
                    edge=True,
                ),
            ),
        ),
        Question(
            "local",
            "local_mean",
            (
                Part(
                    "means of windows, of what is there",
                    3,
                    lambda rng: list(windows(rng)),
                    local_mean,
                    mistakes=(
                        Mistake(
                            zeros_counted,
                            "at the border the zeros outside are counted",
                        ),
                        Mistake(
                            one_short,
                            "the window is one row and one column short",
                        ),
                    ),
                ),
                Part(
                    "a window larger than the map",
                    1,
                    lambda rng: list(wide(rng)),
                    local_mean,
                    edge=True,
                ),
            ),
        ),
    ),
    refused={
        "*channel_shuffle*": "it is the answer; write out what it does",
        "ChannelShuffle": "it is the answer; write out what it does",
        "*avg_pool*": "it is the answer; write out what it does",
        "*AvgPool*": "it is the answer; write out what it does",
        "*lp_pool*": "it is the answer; write out what it does",
        "LPPool*": "it is the answer; write out what it does",
        "*cosine_*": "it is the answer; write out what it does",
        "Cosine*": "it is the answer; write out what it does",
    },
)
