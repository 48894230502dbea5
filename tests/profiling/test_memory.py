"""Peak memory against counts made by hand."""

import torch
from torch import nn

from attnlib.profiling.cost import profile
from attnlib.profiling.memory import LiveBytes


def test_peak_of_a_convolution_and_a_relu():
    # bytes: weights 3 * 5 * 4 = 60, image 3 * 4 * 4 * 4 = 192, each map of five channels 5 * 4 * 4 * 4 = 320
    model = nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.ReLU())
    # Most lives when the ReLU's backward has written its gradient (320): weights, image, the ReLU's output that it
    # still holds (320), the loss and its gradient (4 each). The forward pass had two maps and neither number.
    assert profile(model, 4).peak_memory_bytes == 60 + 192 + 320 + 320 + 4 + 4


def test_parameters_dominate_a_tiny_map():
    model = nn.Conv2d(512, 512, 1, bias=False)  # weights and their gradient: two times 1 MiB
    extra = profile(model, 1, in_channels=512).peak_memory_bytes - 2 * 512 * 512 * 4
    assert 0 < extra < 10_000


def test_frozen_parameters_get_no_gradient():
    model = nn.Sequential(nn.Conv2d(3, 512, 1, bias=False), nn.Conv2d(512, 512, 1, bias=False))
    trained = profile(model, 1).peak_memory_bytes
    model[1].requires_grad_(False)
    assert trained - profile(model, 1).peak_memory_bytes > 1_000_000


def test_half_precision_is_counted_as_float32():
    model = nn.Conv2d(3, 8, 3)
    assert profile(model.bfloat16(), 16).peak_memory_bytes == profile(model.float(), 16).peak_memory_bytes


def test_a_batch_norm_on_one_value_can_be_profiled():
    # In training mode batch norm refuses one value a channel; a network's last map may be 1 x 1.
    assert profile(nn.BatchNorm2d(3), 1).peak_memory_bytes > 0


def test_views_share_their_storage_and_freed_storages_are_taken_off():
    with LiveBytes() as memory:
        x = torch.ones(1000, device="meta")
        view = x.view(10, 100)
        assert memory.live == 4000
        y = x + 1
        assert (memory.live, memory.peak) == (8000, 8000)
        del x, y
        assert memory.live == 4000, "the view keeps its storage alive"
        del view
        assert (memory.live, memory.peak) == (0, 8000)
