"""OCNet's three heads: Yuan and Wang, arXiv 1809.00916, with the norms, orders and cells of the authors' code.

Layers are found in `state` by the module's own names: "context.query.0.weight" is a kernel, "context.query.2.weight"
the scale behind its norm.
"""

from tests.reference.layers import EPS, apply, batch_norm, convolution, shares
from tests.reference.positions import inner, mixture, planes, pooled, vectors
from tests.reference.residual_attention import enlarged
from tests.reference.scalar import magnitude, zeros_like


def base_oc(x, state, training, scale=1, shared=True):
    """ABN(conv [context; x])."""
    statistics = {}
    layers = (state, training, statistics)
    c = context("context", x, scale, 1, shared, layers)
    return conv_abn("fuse", stacked([c, x]), layers), statistics


def pyramid_oc(x, state, training, scales=(1, 2, 3, 6), shared=True):
    """ABN(conv [U(x); context of each partition])."""
    statistics = {}
    layers = (state, training, statistics)
    maps = [conv_abn("widen", x, layers)]
    for k, cells in enumerate(scales):
        maps.append(context(f"contexts.{k}", x, 1, cells, shared, layers))
    return conv_abn("fuse", stacked(maps), layers), statistics


def asp_oc(x, state, training, dilations=(12, 24, 36), scale=2, shared=True):
    """ABN(conv [context branch; 1 x 1; dilated 3 x 3 ...])."""
    statistics = {}
    layers = (state, training, statistics)
    c = context("context", conv_abn("reduce", x, layers, padding=1), scale, 1, shared, layers)
    maps = [conv_abn("project", c, layers), conv_abn("branches.0", x, layers, bias=False)]
    for k, dilation in enumerate(dilations):
        maps.append(conv_abn(f"branches.{k + 1}", x, layers, padding=dilation, dilation=dilation, bias=False))
    return conv_abn("fuse", stacked(maps), layers, bias=False), statistics


def context(name, x, pool, cells, shared, layers):
    """W softmax(f_q . f_k / sqrt(C_k)) V of each cell; the map pooled first and the context enlarged last."""
    state, _, _ = layers
    small = [[pooled(plane, pool, pool) for plane in image] for image in x]
    queries = conv_abn(f"{name}.query", small, layers, twice=shared)
    keys = queries if shared else conv_abn(f"{name}.key", small, layers)
    values = convolution(small, state[f"{name}.value.weight"], state[f"{name}.value.bias"])
    c = zeros_like(values)
    for n, image in enumerate(values):
        for top, bottom in bounds(len(image[0]), cells):
            for left, right in bounds(len(image[0][0]), cells):
                part = attended(*(cell(u[n], top, bottom, left, right) for u in (queries, keys, values)))
                for k, plane in enumerate(part):
                    for i, row in enumerate(plane):
                        for j, value in enumerate(row):
                            c[n][k][top + i][left + j] = value
    c = convolution(c, state[f"{name}.out.weight"], state[f"{name}.out.bias"])
    return c if pool == 1 else enlarged(c, x)


def bounds(length, cells):
    """Where each cell starts and ends: equal steps, the last one up to the end."""
    step = length // cells
    return [(k * step, length if k == cells - 1 else (k + 1) * step) for k in range(cells)]


def cell(image, top, bottom, left, right):
    return [[[plane[i][j] for j in range(left, right)] for i in range(top, bottom)] for plane in image]


def attended(queries, keys, values):
    """One cell: every position the weighted mean of the values."""
    k, v = vectors(keys), vectors(values)
    root = len(queries) ** 0.5
    found = []
    for query in vectors(queries):
        found.append(mixture(shares([inner(query, key) / root for key in k]), v))
    return planes(found, len(values[0][0]))


def conv_abn(name, x, layers, padding=0, dilation=1, bias=True, twice=False):
    """A convolution, a batch norm with |gamma| + eps as its scale, a leaky ReLU.

    A transform that queries and keys share runs `twice`, and so move its running statistics.
    """
    state, training, statistics = layers
    shift = state[f"{name}.0.bias"] if bias else None
    z = convolution(x, state[f"{name}.0.weight"], shift, padding=padding, dilation=dilation)
    norm = {
        "scale": [magnitude(gamma) + EPS for gamma in state[f"{name}.2.weight"]],
        "shift": state[f"{name}.2.bias"],
        "mean": state[f"{name}.1.running_mean"],
        "variance": state[f"{name}.1.running_var"],
        "batches": state[f"{name}.1.num_batches_tracked"],
    }
    y, new = batch_norm(z, norm, training)
    if twice:
        batches = new["batches"]
        y, new = batch_norm(z, {**norm, **new}, training)
        new["batches"] = batches  # the released norm does not count
    statistics[f"{name}.1.running_mean"] = new["mean"]
    statistics[f"{name}.1.running_var"] = new["variance"]
    statistics[f"{name}.1.num_batches_tracked"] = new["batches"]
    return apply(leaky, y)


def leaky(z):
    return z if z.real > 0 else 0.01 * z


def stacked(maps):
    """Maps put behind each other along the channels."""
    return [[plane for u in maps for plane in u[n]] for n in range(len(maps[0]))]
