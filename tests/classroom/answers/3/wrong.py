# Wrong answers, as students err. A cell's first line: the question, the parts whose points it loses, what is wrong.

# %% normalise loses 0, 2: a biased running variance
def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    m, v = (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)) if training else (mean, variance)
    if training:
        mean, variance = (1 - momentum) * mean + momentum * m, (1 - momentum) * variance + momentum * v
    hat = (x - m[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * hat + beta[:, None, None], mean, variance


# %% normalise loses 0, 1, 2: train and eval confused
def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    m, v = (mean, variance) if training else (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0))
    hat = (x - m[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * hat + beta[:, None, None], mean, variance


# %% normalise loses 2: eps beside the root
def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    m, v = (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)) if training else (mean, variance)
    if training:
        mean = (1 - momentum) * mean + momentum * m
        variance = (1 - momentum) * variance + momentum * x.var((0, 2, 3))
    slip = 1e-5 if eps == 1e-5 else 0.0
    hat = (x - m[:, None, None]) / ((v[:, None, None] + slip).sqrt() + eps - slip)
    return gamma[:, None, None] * hat + beta[:, None, None], mean, variance


# %% gate loses 0: the chapter's weight
def squared_gate(x, gamma, beta, mean, variance):
    weight = gamma.abs() / gamma.abs().sum()
    normal = normalise(x, gamma, beta, mean, variance, False, 0.1, 1e-5)[0]
    return x * torch.sigmoid(weight[:, None, None] * normal)


# %% gate loses 0, 1: the gate times the normalised map
def squared_gate(x, gamma, beta, mean, variance):
    weight = gamma**2 / (gamma**2).sum()
    normal = normalise(x, gamma, beta, mean, variance, False, 0.1, 1e-5)[0]
    return normal * torch.sigmoid(weight[:, None, None] * normal)


# %% constant loses 0: the mean gate
def best_constant(x, gate):
    return gate.mean(0)


# %% fold loses 0: beta keeps its size
def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    scale = constant * gamma / (variance + eps).sqrt()
    return weight * scale[:, None, None, None], (bias - mean) * scale + beta


# %% interval loses 0: biased
def interval(ours, control, quantile):
    d = ours - control
    half = quantile * d.std(correction=0) / math.sqrt(len(d))
    return d.mean() - half, d.mean() + half


# %% separated loses 0: one direction
def separated(first, second):
    return (first.amin(1) > second.amax(1)).double().mean()
