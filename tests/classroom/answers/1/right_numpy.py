# %% weights
import numpy as np


def weights(scores, allowed):
    scores, allowed = scores.numpy(), allowed.numpy()
    masked = np.where(allowed, scores, -np.inf)
    top = masked.max(-1, keepdims=True)
    top[np.isneginf(top)] = 0
    grown = np.exp(masked - top)
    total = grown.sum(-1, keepdims=True)
    return torch.from_numpy(np.divide(grown, total, out=np.zeros_like(grown), where=total > 0))


# %% scale
def scale(channels, query_deviation, key_deviation):
    return np.sqrt(channels) * query_deviation * key_deviation


# %% heads
def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attend_heads(query, key, value, sizes):
    cuts = np.cumsum(sizes)[:-1]
    parts = (np.split(np.asarray(each), cuts, axis=-1) for each in (query, key, value))
    outs = [softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v for q, k, v in zip(*parts)]
    return torch.from_numpy(np.concatenate(outs, -1))


# %% positions
def attend_positions(query, key, value, bias):
    q, k, v, b = (np.asarray(each) for each in (query, key, value, bias))
    i, j = np.indices((q.shape[-2],) * 2)
    return torch.from_numpy(softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]) + b[j - i + len(i) - 1]) @ v)


# %% entropy
def entropy(weights):
    w = np.asarray(weights)
    return torch.from_numpy(-(w * np.log2(np.where(w > 0, w, 1))).sum(-1))
