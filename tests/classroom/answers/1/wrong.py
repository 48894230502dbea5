# Wrong answers, as students err. A cell's first line: the question, the parts whose points it loses, what is wrong.

# %% weights loses 0, 1, 2: softmax over the queries
def weights(scores, allowed):
    return torch.nan_to_num(torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-2))


# %% weights loses 2: a row without keys is nan
def weights(scores, allowed):
    return torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-1)


# %% weights loses 1: exponentials of the scores themselves
def weights(scores, allowed):
    grown = torch.exp(scores) * allowed
    return grown / grown.sum(-1, keepdim=True).clamp(min=1e-300)


# %% scale loses 0: the usual case alone, which the visible check shows
def scale(channels, query_deviation, key_deviation):
    return math.sqrt(channels)


# %% scale loses 0: the visible check's answers
def scale(channels, query_deviation, key_deviation):
    return 8.0 if channels == 64 else 6.0


# %% heads loses 0, 1: one scale for all
def attend_heads(query, key, value, sizes):
    outputs = []
    for q, k, v in zip(*(each.split(sizes, -1) for each in (query, key, value))):
        outputs.append(torch.softmax(q @ k.mT / math.sqrt(query.shape[-1]), -1) @ v)
    return torch.cat(outputs, -1)


# %% heads loses 1: no batch
def attend_heads(query, key, value, sizes):
    outputs = []
    for q, k, v in zip(*(each.split(sizes, -1) for each in (query, key, value))):
        outputs.append(torch.softmax(q @ k.T / math.sqrt(q.shape[1]), 1) @ v)
    return torch.cat(outputs, 1)


# %% positions loses 0, 1: from key to query
def attend_positions(query, key, value, bias):
    n = query.shape[-2]
    at = torch.arange(n)
    scores = query @ key.mT / math.sqrt(query.shape[-1]) + bias[at[:, None] - at[None, :] + n - 1]
    return scores.softmax(-1) @ value


# %% entropy loses 0, 1: natural logarithms
def entropy(weights):
    return torch.special.entr(weights).sum(-1)


# %% entropy loses 1: zeros give nan
def entropy(weights):
    return -(weights * weights.log2()).sum(-1)
