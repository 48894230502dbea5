# %% similarity
def similarity(x, groups):
    v = x.unflatten(1, (groups, -1))
    m = v.mean((-1, -2))
    unit = torch.nn.functional.normalize(m, dim=-1, eps=1e-300)
    return torch.einsum("ngchw,ngc->nghw", torch.nn.functional.normalize(v, dim=2, eps=1e-300), unit)


# %% standardise
def standardise(s, eps):
    if s[0, 0].numel() == 1:
        return s * 0
    deviation, mean = torch.std_mean(s, dim=(-1, -2), keepdim=True)
    return (s - mean) / (deviation + eps)


# %% deal
def deal(x, sizes):
    keys = torch.cat([torch.arange(n) * len(sizes) + g for g, n in enumerate(sizes)])
    return x.index_select(1, keys.argsort())


# %% inverse
inverse = lambda order: order.sort().indices


# %% period
def period(order):
    p = torch.eye(len(order))[order]
    power, k = p, 1
    while not torch.equal(power, torch.eye(len(order))):
        power, k = power @ p, k + 1
    return torch.tensor(k)


# %% reach
def reach(channels, groups, layers):
    size = channels // groups
    block = torch.block_diag(*[torch.ones(size, size)] * groups)
    layer = block.view(groups, size, channels).transpose(0, 1).reshape(channels, channels)
    return torch.linalg.matrix_power(layer, layers) > 0


# %% local
def local_mean(x, size):
    kernel = torch.ones(1, 1, size, size, dtype=x.dtype)
    total = torch.nn.functional.conv2d(x[None, None], kernel, padding=size // 2)
    count = torch.nn.functional.conv2d(torch.ones_like(x)[None, None], kernel, padding=size // 2)
    return (total / count)[0, 0]
