# %% squeeze
def squeeze(x, valid):
    n, c, h, w = x.shape
    means = torch.zeros(n, c, dtype=x.dtype)
    for i in range(n):
        count = int(valid[i].sum())
        for k in range(c):
            total = 0.0
            for a in range(h):
                for b in range(w):
                    if valid[i, a, b]:
                        total = total + x[i, k, a, b]
            means[i, k] = total / count if count else 0.0
    return means


# %% excite
def excite(z, w1, b1, w2, b2):
    rows = []
    for each in z:
        hidden = [torch.tanh(sum(w * v for w, v in zip(row, each)) + b) for row, b in zip(w1, b1)]
        rows.append(
            torch.stack([2 / (1 + torch.exp(-(sum(w * v for w, v in zip(row, hidden)) + b))) for row, b in zip(w2, b2)])
        )
    return torch.stack(rows)


# %% block
def block(x, branch, gate):
    out = x.clone()
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[n, c] += gate[n, c] * branch[n, c]
    return out.clamp(min=0)


# %% parameters
def parameters(channels, reduction, least):
    inner = channels // reduction
    if inner < least:
        inner = least
    first = channels * inner + inner
    second = inner * channels + channels
    return first + second


# %% network
def network_parameters(stages, reduction, least):
    return sum(parameters(c, reduction, least) for c, blocks in stages for _ in range(blocks))


# %% multiplications
def multiplications(channels, height, width, reduction):
    count = 0
    for _ in range(channels // reduction):
        count += channels
    count *= 2
    return count + height * width * channels


# %% backward
def backward(x, a, b, upstream):
    k = x.numel()
    g = 1 / (1 + math.exp(-(a * float(x.sum()) / k + b)))
    total = sum(float(u) * float(v) for u, v in zip(upstream.flatten(), x.flatten()))
    return torch.stack([u * g + a * g * (1 - g) / k * total for u in upstream.flatten()]).reshape(x.shape)


# %% solution
import math
