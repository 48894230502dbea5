# %% squeeze
import numpy as np


def squeeze(x, valid):
    x, valid = x.numpy(), valid.numpy()
    means = [[c[m].mean() if m.any() else 0.0 for c in image] for image, m in zip(x, valid)]
    return torch.tensor(np.array(means))


# %% excite
def excite(z, w1, b1, w2, b2):
    z, w1, b1, w2, b2 = (np.asarray(each) for each in (z, w1, b1, w2, b2))
    return torch.from_numpy(2 / (1 + np.exp(-(np.tanh(z @ w1.T + b1) @ w2.T + b2))))


# %% block
def block(x, branch, gate):
    return torch.from_numpy(np.maximum(x.numpy() + gate.numpy()[:, :, np.newaxis, np.newaxis] * branch.numpy(), 0))


# %% parameters
def parameters(channels, reduction, least):
    inner = np.maximum(least, channels // reduction)
    shapes = [(inner, channels), (inner,), (channels, inner), (channels,)]
    return int(sum(np.prod(shape) for shape in shapes))


# %% network
def network_parameters(stages, reduction, least):
    counts = np.array([[parameters(c, reduction, least), n] for c, n in stages])
    return int(counts.prod(1).sum())


# %% multiplications
def multiplications(channels, height, width, reduction):
    return int(np.prod([channels, height, width])) + 2 * channels * (channels // reduction)


# %% backward
def backward(x, a, b, upstream):
    v, u = x.numpy(), upstream.numpy()
    g = 1 / (1 + np.exp(-(a * v.mean() + b)))
    jacobian = g * np.eye(v.size) + np.outer(v.ravel(), np.full(v.size, g * (1 - g) * a / v.size))
    return torch.from_numpy((u.ravel() @ jacobian).reshape(v.shape))
