"""Local self-attention: every pixel attends to the k x k window around it.

Here stands the form to read, which copies the k x k neighbours of every pixel; it is traced, exported and
differentiated twice. `attnlib/kernels/local.py` has the two that do not copy, and are taken elsewhere.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from attnlib import kernels
from attnlib.base import at_least_float32, full_precision
from attnlib.kernels.local import attention

Heads = Float[Tensor, "N heads C H W"]
Offsets = Float[Tensor, "heads half kernel"]


def local_attention(
    query: Heads,
    key: Heads | None,
    value: Heads,
    row: Offsets | None,
    column: Offsets | None,
    kernel_size: int,
    border: str,
) -> Heads:
    """softmax(q . k + q . r) v over the window of every pixel, in at least float32; the output has the value's type.

    Args:
        key: None leaves q . k out.
        row, column: embeddings of the window's row and column offsets; None leaves q . r out.
        border: "pad" lets zero keys and values beyond the border take part, "mask" leaves them out.
    """
    arguments = [t if t is None else at_least_float32(t) for t in (query, key, value, row, column)]
    if not kernels.serves(*arguments, anywhere=True):
        return windows_form(*arguments, kernel_size, border).to(value.dtype)
    with full_precision(query.device.type):
        return attention(windows_form, *arguments, kernel_size, border).to(value.dtype)


def local_weights(
    query: Heads,
    key: Heads | None,
    row: Offsets | None,
    column: Offsets | None,
    kernel_size: int,
    border: str,
    chosen: Int[Tensor, " Q"] | None = None,
) -> Float[Tensor, "N heads Q window"]:
    """The shares that `local_attention` averages by, of the chosen pixels or all; in the precision that it uses."""
    arguments = [t if t is None else at_least_float32(t) for t in (query, key, row, column)]
    with full_precision(query.device.type):
        return window_shares(*arguments, kernel_size, border, chosen)


def windows_form(
    query: Heads,
    key: Heads | None,
    value: Heads,
    row: Offsets | None,
    column: Offsets | None,
    kernel_size: int,
    border: str,
) -> Heads:
    """`local_attention` as its equations are written."""
    shares = window_shares(query, key, row, column, kernel_size, border)
    y = torch.einsum("nhqw,nhcqw->nhcq", shares, windows(value, kernel_size))
    return y.unflatten(3, query.shape[3:])


def window_shares(
    query: Heads,
    key: Heads | None,
    row: Offsets | None,
    column: Offsets | None,
    kernel_size: int,
    border: str,
    chosen: Int[Tensor, " Q"] | None = None,
) -> Float[Tensor, "N heads Q window"]:
    """softmax(q . k + q . r): what the chosen pixels, or all, take from each place of their window, row by row."""
    q = query.flatten(3) if chosen is None else query.flatten(3)[..., chosen]
    logits = q.new_zeros(())
    if key is not None:
        logits = logits + torch.einsum("nhcq,nhcqw->nhqw", q, windows(key, kernel_size, chosen))
    if row is not None:
        places = (-1, -1, kernel_size, kernel_size)
        r = torch.cat([row[..., :, None].expand(places), column[..., None, :].expand(places)], 1).flatten(2)
        logits = logits + torch.einsum("nhcq,hcw->nhqw", q, r)
    if border == "mask":
        beyond = windows(query.new_ones(1, 1, 1, *query.shape[3:]), kernel_size, chosen)[0, 0, 0] == 0
        logits = logits.masked_fill(beyond, -torch.inf)
    return logits.softmax(-1)


def windows(x: Heads, kernel_size: int, chosen: Int[Tensor, " Q"] | None = None) -> Float[Tensor, "N heads C Q window"]:
    """The neighbours of the chosen pixels, or of all; zeros beyond the border."""
    r = kernel_size // 2
    around = F.pad(x, (r, r, r, r)).unfold(3, kernel_size, 1).unfold(4, kernel_size, 1)  # a view, nothing copied yet
    if chosen is None:
        return around.flatten(3, 4).flatten(4)
    return around[:, :, :, chosen // x.shape[4], chosen % x.shape[4]].flatten(4)
