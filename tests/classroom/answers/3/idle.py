# Answers that do nothing, or what the visible checks and the cases at the edge ask: without points.

# %% normalise
def normalise(x, g, b, m, v, t, mo, e):
    return x, m, v


# %% gate
def squared_gate(x, *a):
    return x / 2


# %% constant
def best_constant(x, g):
    return g.mean(0)


# %% fold
def fold(w, b, *a):
    return w, b


# %% interval
def interval(a, b, q):
    return (a - b).min(), (a - b).max()


# %% separated
def separated(a, b):
    return torch.tensor(0.1)
