"""Attention over all positions of a map, in loops: a map x[n][c][i][j] as vectors[p][c] of its positions and back."""

from tests.reference.scalar import larger


def vectors(planes):
    """The vector of every position of one image, row by row."""
    found = []
    for i in range(len(planes[0])):
        for j in range(len(planes[0][0])):
            found.append([plane[i][j] for plane in planes])
    return found


def planes(positions, width):
    """One image from the vectors of its positions."""
    found = []
    for c in range(len(positions[0])):
        found.append([])
        for start in range(0, len(positions), width):
            found[-1].append([positions[start + j][c] for j in range(width)])
    return found


def inner(a, b):
    """a . b."""
    total = 0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


def mixture(weights, values):
    """sum_j weights[j] values[j]."""
    found = []
    for c in range(len(values[0])):
        total = 0
        for j in range(len(values)):
            total += weights[j] * values[j][c]
        found.append(total)
    return found


def pooled(plane, tall, wide):
    """The largest value of each tall x wide block; rows and columns that fill none are left out."""
    found = []
    for i in range(len(plane) // tall):
        found.append([])
        for j in range(len(plane[0]) // wide):
            largest = plane[i * tall][j * wide]
            for a in range(tall):
                for b in range(wide):
                    largest = larger(largest, plane[i * tall + a][j * wide + b])
            found[-1].append(largest)
    return found
