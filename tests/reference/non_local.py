"""Non-local block: Wang et al., arXiv 1711.07971, equations 1 to 6, and the order of its authors' code.

A sequence is a map of one row; the frames of a video are put below each other.
"""

from tests.reference.layers import batch_norm, product, shares
from tests.reference.positions import inner, mixture, planes, pooled, vectors
from tests.reference.scalar import relu


def non_local(
    x,
    g,
    out,
    theta=None,
    phi=None,
    w=None,
    norm=None,
    training=False,
    pairwise="embedded",
    subsample=False,
    dimensions=2,
    scale=True,
    pool="input",
):
    """z_i = x_i + BN(W_z y_i); theta, phi, g and out hold a matrix and a bias each."""
    height = 1 if dimensions == 1 else len(x[0][0][0]) if dimensions == 3 else len(x[0][0])
    maps = flattened(x, dimensions)
    width = len(maps[0][0][0])
    projected = []
    for image in maps:
        queries, keys, values = embeddings(image, theta, phi, g, subsample, pool, height, dimensions)
        s = len(queries[0]) ** -0.5 if scale and pairwise == "embedded" else 1
        y = []
        for query in queries:
            share = weights(query, keys, w, pairwise, s)
            y.append(product(out["matrix"], mixture(share, values), out["bias"]))
        projected.append(planes(y, width))
    statistics = {}
    if norm is not None:
        projected, statistics["norm"] = batch_norm(projected, norm, training)
    z = []
    for image, added in zip_images(maps, projected):
        z.append([])
        for c in range(len(image)):
            rows = []
            for i in range(len(image[c])):
                rows.append([image[c][i][j] + added[c][i][j] for j in range(width)])
            z[-1].append(rows)
    return unflattened(z, dimensions, height), statistics


def zip_images(a, b):
    return [(a[n], b[n]) for n in range(len(a))]


def embeddings(image, theta, phi, g, subsample, pool, height, dimensions):
    """Queries, keys and values of one image, each a list of vectors."""
    smaller = reduced(image, height, dimensions) if subsample else image
    source = smaller if pool == "input" else image
    queries, keys = vectors(image), vectors(source)
    values = [product(g["matrix"], v, g["bias"]) for v in vectors(source)]
    if theta is not None:
        queries = [product(theta["matrix"], v, theta["bias"]) for v in queries]
        keys = [product(phi["matrix"], v, phi["bias"]) for v in keys]
    if subsample and pool == "projections":
        width = len(image[0][0])
        keys = vectors(reduced(planes(keys, width), height, dimensions))
        values = vectors(reduced(planes(values, width), height, dimensions))
    return queries, keys, values


def weights(query, keys, w, pairwise, s):
    """f(x_i, x_j) / C(x) of one query i, equations 2 to 5."""
    if pairwise in ("embedded", "gaussian"):
        return shares([s * inner(query, key) for key in keys])
    if pairwise == "dot":
        return [inner(query, key) / len(keys) for key in keys]
    return [relu(inner(w[0], query + key)) / len(keys) for key in keys]


def reduced(image, height, dimensions):
    """Each plane pooled 2 x 2 frame by frame, a sequence by 2."""
    found = []
    for plane in image:
        rows = []
        for start in range(0, len(plane), height):
            frame = [plane[start + i] for i in range(height)]
            for row in pooled(frame, 1 if dimensions == 1 else 2, 2):
                rows.append(row)
        found.append(rows)
    return found


def flattened(x, dimensions):
    """x[n][c][i][j] of a sequence x[n][c][i] or of a video x[n][c][t][i][j]."""
    if dimensions == 1:
        return [[[sequence] for sequence in image] for image in x]
    if dimensions == 2:
        return x
    return [[[row for frame in volume for row in frame] for volume in image] for image in x]


def unflattened(z, dimensions, height):
    if dimensions == 1:
        return [[plane[0] for plane in image] for image in z]
    if dimensions == 2:
        return z
    found = []
    for image in z:
        found.append([])
        for plane in image:
            frames = []
            for start in range(0, len(plane), height):
                frames.append([plane[start + i] for i in range(height)])
            found[-1].append(frames)
    return found
