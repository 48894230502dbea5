# %% squeeze
def squeeze(x, valid):
    m = valid.to(x)
    total = torch.einsum("nchw,nhw->nc", x, m)
    count = torch.einsum("nhw->n", m)[:, None]
    return torch.where(count > 0, total / count.clamp_min(1.0), torch.zeros_like(total))


# %% excite
def excite(z, w1, b1, w2, b2):
    h = torch.einsum("ic,nc->ni", w1, z).add(b1).tanh()
    return 1 + torch.tanh((torch.einsum("ci,ni->nc", w2, h) + b2) / 2)


# %% block
def block(x, branch, gate):
    return torch.maximum(torch.einsum("nchw,nc->nchw", branch, gate) + x, torch.zeros(()).to(x))


# %% parameters
def parameters(channels, reduction, least):
    inner = max(channels // reduction, least)
    return (channels + 1) * inner + (inner + 1) * channels


# %% network
def network_parameters(stages, reduction, least):
    return sum(n * parameters(c, reduction, least) for c, n in stages)


# %% multiplications
def multiplications(channels, height, width, reduction):
    return channels * (height * width + 2 * (channels // reduction))


# %% backward
def backward(x, a, b, upstream):
    g = torch.sigmoid(a * x.mean() + b)
    return g * (upstream + a * (1 - g) * (upstream * x).mean())
