"""The four places of the one equation that all twelve modules fill, with what stands there."""

from book.figures.shapes import Picture

PLACES = (
    ("squeeze", "S", "statistic", ("mean", "mean, max", "similarity", "the value")),
    ("transform", "T", "weight", ("two layers", "neighbours", "scale, shift", "convolution")),
    ("gate", "a", "gate", ("σ", "1 + σ", "product of σ", "mean of σ")),
)


def pictures() -> list[Picture]:
    return [steps()]


def steps() -> Picture:
    picture = Picture(
        "one_equation-steps",
        height=236,
        title="One equation: squeeze, transform, gate, scale",
        description="The map x goes two ways. On the one it is squeezed by S, the result is transformed by T, and a "
        "makes gates of it; on the other it waits for them. The two are multiplied and give y. Below each step stands "
        "what the modules put there. Squeeze: the mean of a channel, mean and maximum, likeness to a group's mean, "
        "or the value itself. Transform: two layers, a sum over neighbouring channels, a scale and a shift, or a "
        "convolution. Gate: a sigmoid, one plus a sigmoid, a product of sigmoids, or their mean.",
    )
    row, width, top = 44, 64, 92
    picture.also(z="statistic", g="gate")
    picture.symbol(16, row + 4, "x", "map")
    left = 46
    for number, (words, letter, kind, choices) in enumerate(PLACES):
        start = left + number * (width + 22)
        middle = start + width / 2
        picture.arrow((start - 18, row), (start, row))
        picture.box(start, row - 17, width, 34, words)
        picture.symbol(middle, row + 34, letter, kind)
        for line, choice in enumerate(choices):
            picture.text(middle, top + 18 * (line + 1), choice, "small")
    end = left + 3 * (width + 22) - 22
    picture.arrow((end, row), (end + 10, row))
    picture.operator(end + 19, row, "×")
    picture.arrow((end + 28, row), (end + 40, row))
    picture.symbol(end + 46, row - 10, "y", "output")
    picture.arrow((16, row + 10), (16, 208), (end + 19, 208), (end + 19, row + 9))
    picture.text(150, 202, "the map itself", "small")
    return picture
