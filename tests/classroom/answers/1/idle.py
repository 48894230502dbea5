# Answers that do nothing, or what the visible checks and the cases at the edge ask: without points.

# %% weights
def weights(s, a):
    return torch.zeros_like(s)


# %% scale
def scale(c, a, b):
    return c**0.5


# %% heads
def attend_heads(q, k, v, s):
    return v


# %% positions
def attend_positions(q, k, v, b):
    return v


# %% entropy
def entropy(w):
    return torch.zeros_like(w[..., 0])
