"""Where a module sits at the end of a residual branch: the same picture for all modules that sit there."""

from book.figures.shapes import Picture


def residual_block(name: str, module: str, says: str) -> Picture:
    """A residual block with `module` before the sum; `says` is its line of words.

    Args:
        name: of the picture.
        module: as its box is labelled.
        says: what the picture says, in a line.
    """
    picture = Picture(
        name,
        height=160,
        title=f"Where {module} sits in a residual block",
        description="The input of a residual block goes two ways. On the branch, convolution, norm, ReLU, convolution "
        f"and norm give the map x, and {module} turns it into y of the same shape; the shortcut has no layer. The two "
        "are added, and a ReLU follows.",
    )
    middle = 74
    picture.text(170, 18, says)
    picture.arrow((4, middle), (30, middle))
    picture.box(30, middle - 27, 44, 54, "conv", "norm", "ReLU")
    picture.arrow((74, middle), (90, middle))
    picture.box(90, middle - 27, 44, 54, "conv", "norm")
    picture.arrow((134, middle), (190, middle))
    picture.symbol(160, middle - 8, "x", "map")
    picture.text(160, middle + 17, "C×H×W", "small")
    picture.box(190, middle - 22, 44, 44, module, wash="gate")
    picture.arrow((234, middle), (289, middle))
    picture.symbol(259, middle - 8, "y", "output")
    picture.text(260, middle + 17, "C×H×W", "small")
    picture.operator(298, middle, "+")
    picture.arrow((307, middle), (338, middle))
    picture.text(322, middle - 8, "ReLU", "small")
    picture.arrow((16, middle), (16, 144), (298, 144), (298, middle + 9))
    picture.text(157, 138, "shortcut", "small")
    return picture
