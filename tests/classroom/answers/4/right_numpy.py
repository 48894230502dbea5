# %% similarity
import numpy as np


def similarity(x, groups):
    n, c, h, w = x.shape
    v = x.numpy().reshape(n, groups, c // groups, h, w)
    m = v.mean(axis=(3, 4), keepdims=True)
    lengths = np.sqrt((v**2).sum(2)) * np.sqrt((m**2).sum(2))
    return torch.from_numpy(np.divide((v * m).sum(2), lengths, out=np.zeros_like(lengths), where=lengths > 0))


# %% standardise
def standardise(s, eps):
    s = s.numpy()
    if s.shape[2:] == (1, 1):
        return torch.zeros(*s.shape, dtype=torch.float64)
    return torch.from_numpy((s - s.mean((2, 3), keepdims=True)) / (s.std((2, 3), ddof=1, keepdims=True) + eps))


# %% deal
def deal(x, sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    turn = np.concatenate([np.arange(n) for n in sizes])
    return x[:, np.lexsort((group, turn))]


# %% inverse
def inverse(order):
    return np.argsort(order.numpy())


# %% period
def period(order):
    order, lengths = order.numpy(), []
    for start in range(len(order)):
        at, length = order[start], 1
        while at != start:
            at, length = order[at], length + 1
        lengths.append(length)
    return int(np.lcm.reduce(lengths))


# %% reach
def reach(channels, groups, layers):
    size = channels // groups
    names = np.arange(channels)
    found = np.eye(channels, dtype=int)
    for _ in range(layers):
        found = (names[:, None] // size == names // size).astype(int) @ found
        found = found[names.reshape(groups, size).T.ravel()]
    return found > 0


# %% local
def local_mean(x, size):
    padded = np.pad(x.numpy(), size // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return torch.from_numpy(np.nanmean(windows, axis=(2, 3)))
