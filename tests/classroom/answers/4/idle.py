# Answers that do nothing, or what the visible checks and the cases at the edge ask: without points.

# %% similarity
def similarity(x, g):
    return torch.zeros(x.shape[0], g, *x.shape[2:])


# %% standardise
def standardise(s, e):
    return s - s.mean((2, 3), keepdim=True)


# %% deal
def deal(x, s):
    return x


# %% inverse
def inverse(o):
    return o.flip(0)


# %% period
def period(o):
    return 1


# %% reach
def reach(c, g, l):
    return torch.eye(c, dtype=torch.bool)


# %% local
def local_mean(x, s):
    return x * 0 + x.mean()
