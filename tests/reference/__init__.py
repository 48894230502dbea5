"""Each module once more, from its paper's equations, in plain loops over nested lists: u[n][c][i][j].

Numbers are Python's float or complex. On complex numbers every function continues the real one analytically, so that a
complex step of any input gives the exact derivative: Im f(x + ih) / h. Nothing here comes from attnlib.
"""
