# Wrong answers, as students err. A cell's first line: the question, the parts whose points it loses, what is wrong.

# %% similarity loses 0, 1: every groups-th channel
def similarity(x, groups):
    n, c, h, w = x.shape
    v = x.reshape(n, c // groups, groups, h, w).transpose(1, 2)
    m = v.mean((3, 4), keepdim=True)
    lengths = v.norm(dim=2) * m.norm(dim=2)
    return torch.nan_to_num((v * m).sum(2) / lengths)


# %% similarity loses 1: nan for a length of zero
def similarity(x, groups):
    n, c, h, w = x.shape
    v = x.reshape(n, groups, c // groups, h, w)
    m = v.mean((3, 4), keepdim=True)
    return (v * m).sum(2) / (v.norm(dim=2) * m.norm(dim=2))


# %% standardise loses 0: biased for unbiased
def standardise(s, eps):
    spread = s.var((2, 3), correction=0, keepdim=True).sqrt()
    return (s - s.mean((2, 3), keepdim=True)) / (spread + eps)


# %% standardise loses 1: nan on one position
def standardise(s, eps):
    return (s - s.mean((2, 3), keepdim=True)) / (s.std((2, 3), keepdim=True) + eps)


# %% deal loses 0, 1: the shuffle the other way round, for equal groups
def deal(x, sizes):
    n, c, h, w = x.shape
    return x.reshape(n, c // len(sizes), len(sizes), h, w).transpose(1, 2).reshape(n, c, h, w)


# %% deal loses 1: equal groups alone
def deal(x, sizes):
    n, c, h, w = x.shape
    if len(set(sizes)) > 1:
        return x
    return x.reshape(n, len(sizes), sizes[0], h, w).transpose(1, 2).reshape(n, c, h, w)


# %% inverse loses 0: backwards
def inverse(order):
    return order.flip(0)


# %% period loses 0: the longest cycle
def period(order):
    longest = 1
    for start in range(len(order)):
        at, length = int(order[start]), 1
        while at != start:
            at, length = int(order[at]), length + 1
        longest = max(longest, length)
    return longest


# %% reach loses 0: inputs in rows
def reach(channels, groups, layers):
    size = channels // groups
    order = torch.arange(channels).reshape(groups, size).T.reshape(-1)
    depends = torch.eye(channels, dtype=torch.bool)
    for _ in range(layers):
        depends = depends.reshape(groups, size, channels).any(1).repeat_interleave(size, 0)[order]
    return depends.T


# %% local loses 0, 1: zeros outside are counted
def local_mean(x, size):
    padded = torch.nn.functional.pad(x, [size // 2] * 4)
    return padded.unfold(0, size, 1).unfold(1, size, 1).mean((2, 3))


# %% local loses 0: a window one short
def local_mean(x, size):
    half = size // 2
    rows = range(x.shape[0])
    columns = range(x.shape[1])
    means = [[x[max(i - half, 0) : i + half, max(j - half, 0) : j + half].mean() for j in columns] for i in rows]
    return torch.tensor(means, dtype=x.dtype)
