# %% normalise
import numpy as np


def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    x, gamma, beta, mean, variance = (np.asarray(each) for each in (x, gamma, beta, mean, variance))
    m, v = (x.mean((0, 2, 3)), x.var((0, 2, 3))) if training else (mean, variance)
    if training:
        mean = (1 - momentum) * mean + momentum * m
        variance = (1 - momentum) * variance + momentum * x.var((0, 2, 3), ddof=1)
    shape = (1, -1, 1, 1)
    y = (x - m.reshape(shape)) / np.sqrt(v.reshape(shape) + eps) * gamma.reshape(shape) + beta.reshape(shape)
    return torch.from_numpy(y), torch.from_numpy(mean), torch.from_numpy(variance)


# %% gate
def squared_gate(x, gamma, beta, mean, variance):
    y = normalise(x, gamma, beta, mean, variance, False, 0.1, 1e-5)[0].numpy()
    share = gamma.numpy() ** 2
    share = (share / share.sum())[:, None, None]
    return x.numpy() / (1 + np.exp(-share * y))


# %% constant
def best_constant(x, gate):
    x, gate = x.numpy(), gate.numpy()
    target = gate[:, :, None, None] * x
    return np.array(
        [np.linalg.lstsq(x[:, c].reshape(-1, 1), target[:, c].ravel(), rcond=None)[0][0] for c in range(x.shape[1])]
    )


# %% fold
def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    w, b, g, be, m, v = (each.numpy() for each in (weight, bias, gamma, beta, mean, variance))
    a = constant * g / np.sqrt(v + eps)
    return [w * a[:, None, None, None], a * (b - m) + constant * be]


# %% interval
def interval(ours, control, quantile):
    d = (ours - control).numpy()
    half = quantile * np.std(d, ddof=1) / np.sqrt(d.size)
    return d.mean() - half, d.mean() + half


# %% separated
def separated(first, second):
    a, b = first.numpy(), second.numpy()
    return np.mean((a.min(1) > b.max(1)) | (b.min(1) > a.max(1)))
