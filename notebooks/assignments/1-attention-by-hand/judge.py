"""What set 1 asks, and what is right."""

import math

import torch

from classroom.questions import Judge, Mistake, Part, Question


def normal(rng, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=rng, dtype=torch.float64)


# ---- weights ----


def weights(scores, allowed):
    seen = scores.masked_fill(~allowed, -math.inf)
    grown = (seen - seen.amax(-1, keepdim=True).clamp(min=-1e300)).exp()
    total = grown.sum(-1, keepdim=True)
    return grown / total.where(total > 0, torch.ones_like(total))


def over_queries(scores, allowed):
    return weights(scores.mT, allowed.mT).mT


def mask_after(scores, allowed):
    return scores.softmax(-1) * allowed


def some_allowed(rng, *shape):
    allowed = torch.rand(*shape, generator=rng) < 0.6
    allowed[..., 0] = True
    return allowed


def masks(rng):
    yield normal(rng, 3, 5), some_allowed(rng, 3, 5)
    yield normal(rng, 2, 4, 6), some_allowed(rng, 2, 4, 6)
    yield normal(rng, 1, 7, scale=3.0), some_allowed(rng, 1, 7)


def large(rng):
    yield normal(rng, 3, 4, scale=2000.0), some_allowed(rng, 3, 4)
    high = normal(rng, 2, 3)
    high[:, 1] = (
        5000.0  # not allowed, so it must not decide what is subtracted
    )
    yield high, torch.tensor([[True, False, True], [True, False, True]])


def nothing_allowed(rng):
    allowed = some_allowed(rng, 3, 4)
    allowed[1] = False
    yield normal(rng, 3, 4), allowed


# ---- scale ----


def scale(channels, query_deviation, key_deviation):
    return math.sqrt(channels) * query_deviation * key_deviation


def deviations(rng):
    for channels in (4, 9, 50, 64):
        q, k = (
            0.2 + 3 * torch.rand(2, generator=rng, dtype=torch.float64)
        ).tolist()
        yield channels, round(q, 3), round(k, 3)


# ---- heads ----


def attend(query, key, value, divisor=None):
    divisor = math.sqrt(query.shape[-1]) if divisor is None else divisor
    return (query @ key.mT / divisor).softmax(-1) @ value


def in_heads(attention):
    """What `attention(query, key, value, channels)` gives in heads of these sizes."""

    def attended(query, key, value, sizes):
        split = zip(
            *(
                each.split(list(sizes), dim=-1)
                for each in (query, key, value)
            ),
            strict=True,
        )
        return torch.cat(
            [attention(q, k, v, query.shape[-1]) for q, k, v in split],
            dim=-1,
        )

    return attended


heads = in_heads(lambda q, k, v, channels: attend(q, k, v))
one_scale = in_heads(
    lambda q, k, v, channels: attend(q, k, v, math.sqrt(channels))
)
no_scale = in_heads(lambda q, k, v, channels: attend(q, k, v, 1.0))
heads_over_queries = in_heads(
    lambda q, k, v, channels: (
        (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-2) @ v
    )
)


def three(rng, queries, keys, channels, *before):
    return (
        normal(rng, *before, queries, channels),
        normal(rng, *before, keys, channels),
        normal(rng, *before, keys, channels),
    )


def unequal(rng):
    yield *three(rng, 5, 5, 8), [4, 2, 2]
    yield *three(rng, 3, 6, 9), [1, 5, 3]


def batches(rng):
    yield *three(rng, 4, 4, 6, 2), [2, 4]
    yield *three(rng, 1, 5, 6, 3), [6]


# ---- positions ----


def positions(query, key, value, bias):
    n = query.shape[-2]
    at = torch.arange(n)
    offset = at[None, :] - at[:, None]  # key minus query
    scores = (
        query @ key.mT / math.sqrt(query.shape[-1]) + bias[offset + n - 1]
    )
    return scores.softmax(-1) @ value


def other_way(query, key, value, bias):
    return positions(query, key, value, bias.flip(0))


def after_softmax(query, key, value, bias):
    n = query.shape[-2]
    at = torch.arange(n)
    rows = bias[at[None, :] - at[:, None] + n - 1]
    return (
        (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1) + rows
    ) @ value


def rows(rng):
    for n, channels in ((4, 3), (7, 5)):
        yield *three(rng, n, n, channels), normal(rng, 2 * n - 1)


def many_rows(rng):
    yield *three(rng, 5, 5, 4, 2, 3), normal(rng, 9)


def one_position(rng):
    yield *three(rng, 1, 1, 4), normal(rng, 1)


# ---- entropy ----


def entropy(weights):
    return -torch.where(
        weights > 0,
        weights * weights.clamp(min=1e-300).log2(),
        torch.zeros_like(weights),
    ).sum(-1)


def distributions(rng):
    yield (normal(rng, 4, 6).softmax(-1),)
    yield (normal(rng, 2, 3, 8, scale=2.0).softmax(-1),)


def with_zeros(rng):
    made = normal(rng, 3, 5).softmax(-1)
    made[0, :2] = 0
    made = made / made.sum(-1, keepdim=True)
    made[2] = torch.tensor([0, 0, 1.0, 0, 0], dtype=torch.float64)
    yield (made,)


OVER_QUERIES = "your weights add up to one over the queries; ask which positions share one query's attention"

JUDGE = Judge(
    title="Attention by hand",
    questions=(
        Question(
            "weights",
            "weights",
            (
                Part(
                    "a softmax over the allowed keys",
                    3,
                    lambda rng: list(masks(rng)),
                    weights,
                    mistakes=(
                        Mistake(over_queries, OVER_QUERIES),
                        Mistake(
                            mask_after,
                            "your rows do not add up to one: the forbidden keys have taken their share before they were left out",
                        ),
                        Mistake(
                            lambda scores, allowed: scores.softmax(-1),
                            "the keys that are not allowed have weights as well",
                        ),
                    ),
                ),
                Part(
                    "scores in the thousands",
                    1,
                    lambda rng: list(large(rng)),
                    weights,
                ),
                Part(
                    "a query that no key is allowed for",
                    1,
                    lambda rng: list(nothing_allowed(rng)),
                    weights,
                ),
            ),
        ),
        Question(
            "scale",
            "scale",
            (
                Part(
                    "scores of variance one",
                    3,
                    lambda rng: list(deviations(rng)),
                    scale,
                    mistakes=(
                        Mistake(
                            lambda d, q, k: math.sqrt(d),
                            "this is right where queries and keys have a standard deviation of 1; here they do not",
                        ),
                        Mistake(
                            lambda d, q, k: d * (q * k) ** 2,
                            "this is the variance of the scores; dividing by it does not make the variance one",
                        ),
                        Mistake(
                            lambda d, q, k: math.sqrt(d * q * k),
                            "under the root the deviations stand with their squares",
                        ),
                    ),
                ),
            ),
        ),
        Question(
            "heads",
            "attend_heads",
            (
                Part(
                    "heads of unequal sizes",
                    4,
                    lambda rng: list(unequal(rng)),
                    heads,
                    mistakes=(
                        Mistake(
                            one_scale,
                            "every head divides by the root of all channels; what varies in a head is its own channels",
                        ),
                        Mistake(no_scale, "the scores are not scaled"),
                        Mistake(heads_over_queries, OVER_QUERIES),
                    ),
                ),
                Part(
                    "several maps at once, and one head",
                    2,
                    lambda rng: list(batches(rng)),
                    heads,
                ),
            ),
        ),
        Question(
            "positions",
            "attend_positions",
            (
                Part(
                    "a bias for each offset from query to key",
                    4,
                    lambda rng: list(rows(rng)),
                    positions,
                    mistakes=(
                        Mistake(
                            other_way,
                            "the bias is read the other way round: offset 1 is the key one place after the query",
                        ),
                        Mistake(
                            after_softmax,
                            "the bias is added to the weights, so that they no longer add up to one",
                        ),
                    ),
                ),
                Part(
                    "several rows at once",
                    1,
                    lambda rng: list(many_rows(rng)),
                    positions,
                ),
                Part(
                    "a row of one position",
                    1,
                    lambda rng: list(one_position(rng)),
                    positions,
                    edge=True,
                ),
            ),
        ),
        Question(
            "entropy",
            "entropy",
            (
                Part(
                    "bits of weights that are all above zero",
                    2,
                    lambda rng: list(distributions(rng)),
                    entropy,
                    mistakes=(
                        Mistake(
                            lambda w: entropy(w) * math.log(2),
                            "this is in nats; bits are asked for",
                        ),
                        Mistake(
                            lambda w: -entropy(w),
                            "an entropy is never below zero",
                        ),
                        Mistake(
                            lambda w: entropy(w).mean(),
                            "one number for each query is asked for",
                        ),
                    ),
                ),
                Part(
                    "weights of exactly zero",
                    1,
                    lambda rng: list(with_zeros(rng)),
                    entropy,
                ),
            ),
        ),
    ),
    refused={
        "*scaled_dot_product*": "it is the answer; write out what it does",
        "*multi_head_attention*": "it is the answer; write out what it does",
        "MultiheadAttention": "it is the answer; write out what it does",
        "*ransformer*": "it is the answer; write out what it does",
        "flex_attention": "it is the answer; write out what it does",
    },
)
