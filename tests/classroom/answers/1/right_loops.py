# %% weights
def weights(scores, allowed):
    flat_scores = scores.reshape(-1, scores.shape[-1])
    flat_allowed = allowed.reshape(-1, scores.shape[-1])
    rows = []
    for row, may in zip(flat_scores, flat_allowed):
        if not may.any():
            rows.append(torch.zeros_like(row))
            continue
        top = max(float(s) for s, m in zip(row, may) if m)
        grown = torch.stack([torch.exp(s - top) if m else torch.zeros_like(s) for s, m in zip(row, may)])
        rows.append(grown / grown.sum())
    return torch.stack(rows).reshape(scores.shape)


# %% scale
def scale(channels, query_deviation, key_deviation):
    variance = 0.0
    for _ in range(channels):
        variance += query_deviation**2 * key_deviation**2
    return variance**0.5


# %% heads
def attend_heads(query, key, value, sizes):
    if query.dim() > 2:
        return torch.stack([attend_heads(q, k, v, sizes) for q, k, v in zip(query, key, value)])
    out = torch.zeros(query.shape[0], query.shape[1], dtype=query.dtype)
    for i in range(query.shape[0]):
        start = 0
        for size in sizes:
            scores = [float(query[i, start : start + size] @ key[j, start : start + size]) for j in range(key.shape[0])]
            scores = [s / math.sqrt(size) for s in scores]
            total = sum(math.exp(s) for s in scores)
            for j, s in enumerate(scores):
                out[i, start : start + size] += math.exp(s) / total * value[j, start : start + size]
            start += size
    return out


# %% positions
def attend_positions(query, key, value, bias):
    if query.dim() > 2:
        return torch.stack([attend_positions(q, k, v, bias) for q, k, v in zip(query, key, value)])
    n, d = query.shape
    out = torch.zeros(n, value.shape[1], dtype=query.dtype)
    for i in range(n):
        row = torch.stack([query[i] @ key[j] / math.sqrt(d) + bias[j - i + n - 1] for j in range(n)])
        share = torch.softmax(row, 0)
        for j in range(n):
            out[i] += share[j] * value[j]
    return out


# %% entropy
def entropy(weights):
    rows = weights.reshape(-1, weights.shape[-1])
    found = [-sum(float(w) * math.log2(float(w)) for w in row if w > 0) + 0.0 for row in rows]
    return torch.tensor(found, dtype=weights.dtype).reshape(weights.shape[:-1])
