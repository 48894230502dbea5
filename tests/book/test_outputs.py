import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import outputs


def decoded(picture):
    return np.array(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")).astype(int)


def test_a_drawing_gets_smaller_and_looks_the_same():
    figure = Figure(figsize=(6, 4), dpi=100)
    axes = figure.subplots()
    for number in range(3):
        axes.plot(np.sin(np.linspace(0, 6, 100) + number), label=f"curve {number}")
    axes.legend(ncol=4)
    written = io.BytesIO()
    figure.savefig(written, format="png")
    before = base64.b64encode(written.getvalue()).decode()
    after = outputs.smaller(before)
    assert len(after) < 0.6 * len(before)
    difference = np.abs(decoded(after) - decoded(before))
    assert difference.mean() < 0.5 and np.quantile(difference, 0.999) < 30


def test_a_photograph_stays_as_it_is():
    written = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(written, "PNG")
    photograph = base64.b64encode(written.getvalue()).decode()
    assert outputs.smaller(photograph) == photograph
