# Answers that do nothing, or what the visible checks and the cases at the edge ask: without points.

# %% squeeze
def squeeze(x, v):
    return x.mean((2, 3))


# %% excite
def excite(z, *a):
    return torch.ones_like(z)


# %% block
def block(x, b, g):
    return x


# %% parameters
def parameters(c, r, l):
    return 2 * c * c // r


# %% network
def network_parameters(s, r, l):
    return 1


# %% multiplications
def multiplications(c, h, w, r):
    return c * h * w


# %% backward
def backward(x, a, b, u):
    return u / (1 + 2.718281828459045**-b)
