# %% normalise
def normalise(x, g, b, m, v, training, momentum, eps):
    flat = x.transpose(0, 1).flatten(1)
    if training:
        now, biased, unbiased = flat.mean(1), flat.var(1, unbiased=False), flat.var(1)
        m, v = torch.lerp(m, now, momentum), torch.lerp(v, unbiased, momentum)
    else:
        now, biased = m, v
    a = g * torch.rsqrt(biased + eps)
    return torch.einsum("nchw,c->nchw", x, a) + (b - now * a).view(1, -1, 1, 1), m, v


# %% gate
def squared_gate(x, gamma, beta, mean, variance):
    w = gamma.square() / gamma.square().sum()
    a = gamma * torch.rsqrt(variance + 1e-5)
    hat = torch.einsum("nchw,c->nchw", x, w * a) + (w * (beta - mean * a)).view(1, -1, 1, 1)
    return x * hat.sigmoid()


# %% constant
def best_constant(x, gate):
    return torch.einsum("nchw,nchw,nc->c", x, x, gate) / torch.einsum("nchw,nchw->c", x, x)


# %% fold
def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    a = constant * gamma * torch.rsqrt(variance + eps)
    return torch.einsum("oikl,o->oikl", weight, a), a * bias - a * mean + constant * beta


# %% interval
def interval(ours, control, quantile):
    d = ours - control
    return tuple(d.mean() + sign * quantile * d.std() / len(d) ** 0.5 for sign in (-1, 1))


# %% separated
def separated(first, second):
    a, b = first.sort(1).values, second.sort(1).values
    return ((a[:, 0] > b[:, -1]) + (b[:, 0] > a[:, -1])).to(first).mean()
