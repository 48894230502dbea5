# %% similarity
def similarity(x, groups):
    n, c, h, w = x.shape
    size = c // groups
    out = torch.zeros(n, groups, h, w, dtype=x.dtype)
    for i in range(n):
        for g in range(groups):
            part = x[i, g * size : (g + 1) * size]
            mean = part.mean((1, 2))
            for a in range(h):
                for b in range(w):
                    v = part[:, a, b]
                    length = v.norm() * mean.norm()
                    if length > 0:
                        out[i, g, a, b] = v @ mean / length
    return out


# %% standardise
def standardise(s, eps):
    out = torch.zeros_like(s)
    for n in range(s.shape[0]):
        for g in range(s.shape[1]):
            values = s[n, g].flatten()
            if len(values) > 1:
                deviation = (sum((v - values.mean()) ** 2 for v in values) / (len(values) - 1)) ** 0.5
                out[n, g] = (s[n, g] - values.mean()) / (deviation + eps)
    return out


# %% deal
def deal(x, sizes):
    order, turn = [], 0
    while len(order) < sum(sizes):
        first = 0
        for size in sizes:
            if turn < size:
                order.append(first + turn)
            first += size
        turn += 1
    return torch.stack([x[:, c] for c in order], 1)


# %% inverse
def inverse(order):
    places = order.tolist()
    return torch.tensor([places.index(i) for i in range(len(places))])


# %% period
def period(order):
    places, now, times = order.tolist(), list(range(len(order))), 0
    while True:
        now = [now[p] for p in places]
        times += 1
        if now == sorted(now):
            return times


# %% reach
def reach(channels, groups, layers):
    size = channels // groups
    sees = [{c} for c in range(channels)]
    for _ in range(layers):
        mixed = [set().union(*(sees[g * size + k] for k in range(size))) for g in range(groups)]
        sees = [mixed[g] for _ in range(size) for g in range(groups)]
    return torch.tensor([[i in row for i in range(channels)] for row in sees])


# %% local
def local_mean(x, size):
    h, w = x.shape
    out = torch.zeros_like(x)
    for i in range(h):
        for j in range(w):
            total, count = 0.0, 0
            for a in range(i - size // 2, i + size // 2 + 1):
                for b in range(j - size // 2, j + size // 2 + 1):
                    if 0 <= a < h and 0 <= b < w:
                        total, count = total + x[a, b], count + 1
            out[i, j] = total / count
    return out
