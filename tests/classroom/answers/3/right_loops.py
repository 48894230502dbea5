# %% normalise
def normalise(x, gamma, beta, mean, variance, training, momentum, eps):
    out, new_mean, new_variance = torch.empty_like(x), mean.clone(), variance.clone()
    for c in range(x.shape[1]):
        values = x[:, c].flatten()
        if training:
            m = values.sum() / len(values)
            v = sum((value - m) ** 2 for value in values) / len(values)
            new_mean[c] = mean[c] + momentum * (m - mean[c])
            new_variance[c] = variance[c] + momentum * (v * len(values) / (len(values) - 1) - variance[c])
        else:
            m, v = mean[c], variance[c]
        out[:, c] = (x[:, c] - m) / (v + eps) ** 0.5 * gamma[c] + beta[c]
    return out, new_mean, new_variance


# %% gate
def squared_gate(x, gamma, beta, mean, variance):
    total = sum(float(g) ** 2 for g in gamma)
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        hat = gamma[c] * (x[:, c] - mean[c]) / (variance[c] + 1e-5) ** 0.5 + beta[c]
        out[:, c] = x[:, c] / (1 + torch.exp(-hat * float(gamma[c]) ** 2 / total))
    return out


# %% constant
def best_constant(x, gate):
    constants = []
    for c in range(x.shape[1]):
        above = below = 0.0
        for n in range(x.shape[0]):
            energy = float((x[n, c] ** 2).sum())
            above += float(gate[n, c]) * energy
            below += energy
        constants.append(above / below)
    return torch.tensor(constants, dtype=x.dtype)


# %% fold
def fold(weight, bias, gamma, beta, mean, variance, eps, constant):
    new_weight, new_bias = weight.clone(), bias.clone()
    for o in range(len(bias)):
        s = float(gamma[o]) / math.sqrt(float(variance[o]) + eps)
        new_weight[o] = weight[o] * s * constant
        new_bias[o] = ((bias[o] - mean[o]) * s + beta[o]) * constant
    return new_weight, new_bias


# %% interval
def interval(ours, control, quantile):
    d = [float(a) - float(b) for a, b in zip(ours, control)]
    middle = sum(d) / len(d)
    s = math.sqrt(sum((each - middle) ** 2 for each in d) / (len(d) - 1))
    return middle - quantile * s / math.sqrt(len(d)), middle + quantile * s / math.sqrt(len(d))


# %% separated
def separated(first, second):
    count = 0
    for a, b in zip(first.tolist(), second.tolist()):
        if min(a) > max(b) or max(a) < min(b):
            count += 1
    return count / len(first)
