import base64
import io

import numpy as np
from PIL import Image

import outputs


def encoded(pixels):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def decoded(picture):
    return np.array(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")).astype(int)


def test_a_drawing_gets_smaller_and_keeps_its_colours():
    across = np.linspace(0, 150, 400).astype(np.uint8)
    drawing = np.full((300, 400, 3), 255, np.uint8)
    drawing[100:120] = [0, 114, 178]
    drawing[200:202, :, 0] = across  # the many colours of a smoothed edge
    drawing[::7, ::3] = [213, 94, 0]
    before = encoded(drawing)
    after = outputs.smaller(before)
    assert len(after) < 0.75 * len(before)
    assert np.abs(decoded(after) - drawing).max() <= 2


def test_a_photograph_stays_as_it_is():
    photograph = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    assert outputs.smaller(encoded(photograph)) == encoded(photograph)
