"""The windows of local attention."""

import torch

from attnlib.profiling.memory import LiveBytes
from attnlib.self_attention.local import window_shares, windows


def test_a_window_is_read_row_by_row_with_zeros_beyond_the_border():
    x = torch.arange(1.0, 13).view(1, 1, 1, 3, 4)
    assert windows(x, 3)[0, 0, 0, 0].tolist() == [0, 0, 0, 0, 1, 2, 0, 5, 6]
    assert windows(x, 3)[0, 0, 0, 6].tolist() == [2, 3, 4, 6, 7, 8, 10, 11, 12]
    assert torch.equal(windows(x, 3, torch.tensor([6, 0])), windows(x, 3)[:, :, :, [6, 0]])


def test_the_shares_of_chosen_pixels_need_their_own_windows_only():
    query, key = (torch.empty(1, 2, 4, 64, 64, device="meta") for _ in range(2))
    row, column = (torch.empty(2, 2, 7, device="meta") for _ in range(2))
    with LiveBytes() as memory, torch.no_grad():
        window_shares(query, key, row, column, 7, "mask", torch.zeros(3, dtype=torch.long, device="meta"))
    assert memory.peak < 3 * 4 * query.numel()  # in bytes: less than three maps, where all windows are 49 of them
