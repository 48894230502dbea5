# %% weights
def weights(s, m):
    low = torch.finfo(s.dtype).min
    s = torch.where(m, s, torch.full_like(s, low))
    e = torch.exp(s - s.max(dim=-1, keepdim=True).values) * m
    return e / torch.maximum(e.sum(-1, keepdim=True), torch.tensor(1e-30, dtype=s.dtype))


# %% scale
scale = lambda d, a, b: (d * a * a * b * b) ** 0.5


# %% heads
def attend_heads(q, k, v, sizes):
    ends = torch.tensor(sizes).cumsum(0).tolist()
    out = torch.empty_like(q)
    for end, size in zip(ends, sizes):
        part = slice(end - size, end)
        s = torch.einsum("...ic,...jc->...ij", q[..., part], k[..., part]) * size**-0.5
        out[..., part] = torch.einsum("...ij,...jc->...ic", s.softmax(-1), v[..., part])
    return out


# %% positions
def attend_positions(q, k, v, b):
    n, d = q.shape[-2:]
    table = torch.stack([b[n - 1 - i : 2 * n - 1 - i] for i in range(n)])
    w = torch.softmax(torch.einsum("...ic,...jc->...ij", q, k) / d**0.5 + table, -1)
    return torch.einsum("...ij,...jc->...ic", w, v)


# %% entropy
def entropy(w):
    return -torch.special.xlogy(w, w).sum(-1) / math.log(2)
