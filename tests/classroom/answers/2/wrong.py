# Wrong answers, as students err. A cell's first line: the question, the parts whose points it loses, what is wrong.

# %% squeeze loses 1: nan where nothing is valid
def squeeze(x, valid):
    seen = torch.where(valid[:, None], x, torch.nan)
    return seen.nanmean((2, 3))


# %% squeeze loses 0: the mean over all positions
def squeeze(x, valid):
    return (x * valid[:, None]).mean((2, 3))


# %% excite loses 0: ReLU, as in the chapter
def excite(z, w1, b1, w2, b2):
    return 2 * torch.sigmoid(torch.relu(z @ w1.T + b1) @ w2.T + b2)


# %% excite loses 0, 1: not doubled
def excite(z, w1, b1, w2, b2):
    return torch.sigmoid(torch.tanh(z @ w1.T + b1) @ w2.T + b2)


# %% block loses 0: the gate after the addition
def block(x, branch, gate):
    return torch.relu(x + branch) * gate[:, :, None, None]


# %% block loses 0: the visible check's case alone
def block(x, branch, gate):
    return torch.relu(x + gate[0, 0] * branch)


# %% parameters loses 0: no bias
def parameters(channels, reduction, least):
    return 2 * channels * max(least, channels // reduction)


# %% parameters loses 0: rounds up
def parameters(channels, reduction, least):
    width = max(least, -(-channels // reduction))
    return 2 * channels * width + width + channels


# %% network loses 0: one module a stage
def network_parameters(stages, reduction, least):
    return sum(parameters(channels, reduction, least) for channels, _ in stages) * 2


# %% multiplications loses 0: the matrices at every position
def multiplications(channels, height, width, reduction):
    return 2 * channels * (channels // reduction) * height * width + channels * height * width


# %% backward loses 0: the gate as a constant
def backward(x, a, b, upstream):
    return upstream * torch.sigmoid(a * x.mean() + b)


# %% backward loses 0, 1: the derivative of the sigmoid is forgotten
def backward(x, a, b, upstream):
    gate = torch.sigmoid(a * x.mean() + b)
    return gate * upstream + (upstream * x).mean() * a + (upstream * x).mean()
