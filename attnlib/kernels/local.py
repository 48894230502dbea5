"""Local self-attention without a copy of every window: on any device, in float32 and float64.

    dense     scores of every pixel against every pixel, those outside the window left out: for small maps.
    shifts    for larger maps a loop over the window's rows, in which every offset is one shift of the whole map.

Both use that a relative position splits: q . r = (first half of q) . row[a] + (second half) . column[b], 2 k scores a
pixel instead of k^2. They hold the softmax's shares, k^2 numbers a pixel and head (H W of them where dense), instead of
k^2 neighbours of every channel, and work through heads in chunks that stay in the cache.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

CHUNK = 1 << 19  # numbers in the buffer that one chunk of heads works in: 2 MB in float32
DENSE = 3  # maps of up to so many windows are small: for k = 7 up to 12 x 12, where both forms take as long


def attention(
    readable: Callable[..., Tensor],
    query: Tensor,
    key: Tensor | None,
    value: Tensor,
    row: Tensor | None,
    column: Tensor | None,
    kernel_size: int,
    border: str,
) -> Tensor:
    """`readable(query, key, value, row, column, kernel_size, border)`, of heads (N, heads, C, H, W) and offsets."""
    tensors = (query, key, value, row, column)
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    return _Local.apply(*tensors, readable, kernel_size, border, learns)[0]


class _Local(Function):
    """The output and, where something learns, what the backward pass needs."""

    generate_vmap_rule = True  # or torch.func.vmap of something else would not let it run

    @staticmethod
    def forward(query, key, value, row, column, readable, kernel_size, border, learns):
        rows, columns = _position_logits(query, row, column, kernel_size, border)
        form = _form(query, kernel_size, border)
        y, *kept = form.forward(*_flat(query, key, value), rows, columns, learns)
        y = y.view(value.shape)
        return (y.clone(), y, *kept) if learns else (y,)  # what follows may work in place, as ReLU does: y is kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.readable, kernel_size, border, _ = inputs
        ctx.options = kernel_size, border
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        query, key, value, row, column, y, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to be differentiated in its turn
            inputs = (query, key, value, row, column)
            wanted = [t for t, needed in zip(inputs, ctx.needs_input_grad[:5], strict=True) if needed]
            found = iter(torch.autograd.grad(ctx.readable(*inputs, *ctx.options), wanted, gradient, create_graph=True))
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:5]), *[None] * 4
        form = _form(query, *ctx.options)
        flat = _flat(query, key, value)
        dq, dk, dv, drows, dcolumns = form.backward(gradient.flatten(0, 1), *flat, y.flatten(0, 1), *kept)
        dq = torch.zeros_like(query) if key is None else dq.reshape(query.shape)
        dk = None if key is None else dk.reshape(key.shape)
        drow = dcolumn = None
        if row is not None:
            (first, second), (to_first, to_second) = query.chunk(2, 2), dq.chunk(2, 2)
            drows, dcolumns = (d.unflatten(0, query.shape[:2]) for d in (drows, dcolumns))
            to_first += torch.einsum("nhaij,hca->nhcij", drows, row)
            to_second += torch.einsum("nhaij,hca->nhcij", dcolumns, column)
            drow = torch.einsum("nhaij,nhcij->hca", drows, first)
            dcolumn = torch.einsum("nhaij,nhcij->hca", dcolumns, second)
        return dq, dk, dv.reshape(value.shape), drow, dcolumn, *[None] * 4


def _form(query: Tensor, kernel_size: int, border: str) -> "_Dense | _Shifts":
    height, width = query.shape[3:]
    form = _Dense if height * width <= DENSE * kernel_size**2 else _Shifts
    return form(kernel_size, height, width, border)


def _flat(query: Tensor, key: Tensor | None, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Heads as images; without keys, queries and keys of no channels, whose products are 0."""
    if key is None:
        query = key = query[:, :, :0]
    return query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)


def _position_logits(
    query: Tensor, row: Tensor | None, column: Tensor | None, kernel_size: int, border: str
) -> tuple[Tensor, Tensor]:
    """The two parts of q . r, minus infinity where the border is masked."""
    logits = []
    for half, offsets, axis in zip(query.chunk(2, 2), (row, column), (3, 4), strict=True):
        if offsets is None:
            part = query.new_zeros(*query.shape[:2], kernel_size, *query.shape[3:])
        else:
            part = torch.einsum("nhcij,hca->nhaij", half, offsets)
        if border == "mask":
            part = part.masked_fill(_outside(kernel_size, query.shape[axis], axis, query.device), -torch.inf)
        logits.append(part.flatten(0, 1))
    return logits[0], logits[1]


def _outside(kernel_size: int, size: int, axis: int, device: torch.device) -> Tensor:
    """Which offsets lead a pixel beyond the map along axis 3 or 4: (kernel, H, 1) or (kernel, 1, W)."""
    steps = torch.arange(kernel_size, device=device) - kernel_size // 2
    place = steps[:, None] + torch.arange(size, device=device)
    return ((place < 0) | (place >= size)).unsqueeze(2 if axis == 3 else 1)


# The two forms: on (N heads, C, H, W), with relative logits (N heads, kernel, H, W) of rows and of columns.


class _Shifts:
    """A loop over the window's rows, on maps laid out as one line, with kernel // 2 zeros between rows.

    Position p of the queries meets position p + a * pitch + b of the keys at offset (a, b): every offset is a shift.
    What comes of the places between the queries' rows is not used: it is cut off, and gradients are 0 there.
    """

    def __init__(self, kernel_size: int, height: int, width: int, border: str) -> None:
        self.kernel_size, self.height, self.width = kernel_size, height, width
        self.reach = kernel_size // 2
        self.pitch = width + self.reach
        self.length = height * self.pitch + self.reach  # at its end as many zeros as a row of the window can shift

    def forward(self, q, k, v, rows, columns, learns):
        q, rows, columns, k, v = *map(self._queries, (q, rows, columns)), *map(self._keys, (k, v))
        chunks, room, (logits, spare) = self._chunks(v, windows=2)
        shares = self._window(v, len(v)) if learns else None
        y = v.new_empty(*v.shape[:2], self.length)
        for n in chunks:
            s = self._products(q[n], k[n], room, logits)
            s += rows[n, :, None]
            s += columns[n, None]
            p = shares[n] if learns else spare[: len(s)]
            torch.softmax(s.flatten(1, 2), 1, out=p.flatten(1, 2))
            self._collect(p, v[n], room, y[n])
        return self._from_queries(y).contiguous(), shares

    def backward(self, gradient, q, k, v, y, shares):
        mean = self._queries((y * gradient).sum(1))  # of p dp over a window, which the softmax's derivative takes off
        g, q, k, v = *map(self._queries, (gradient, q)), *map(self._keys, (k, v))
        chunks, room, (logits,) = self._chunks(v, windows=1)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        drows, dcolumns = (v.new_empty(len(v), self.kernel_size, self.length) for _ in range(2))
        for n in chunks:
            p, ds = shares[n], self._products(g[n], v[n], room, logits)
            self._spread(p, g[n], room, dv[n])
            ds -= mean[n, None, None]
            ds *= p
            torch.sum(ds, 2, out=drows[n])
            torch.sum(ds, 1, out=dcolumns[n])
            self._collect(ds, k[n], room, dq[n])
            self._spread(ds, q[n], room, dk[n])
        dq, drows, dcolumns = map(self._from_queries, (dq, drows, dcolumns))
        return dq, self._from_keys(dk), self._from_keys(dv), drows, dcolumns

    # Layout.

    def _queries(self, x):
        return F.pad(F.pad(x, (0, self.reach)).flatten(-2), (0, self.reach))

    def _from_queries(self, y):
        return y[..., : -self.reach or None].unflatten(-1, (self.height, self.pitch))[..., : self.width]

    def _keys(self, x):
        r = self.reach
        return F.pad(F.pad(x, (r, 0, r, r)).flatten(-2), (0, 3 * r))  # as far as the last shift of the line goes

    def _from_keys(self, y):
        r = self.reach
        rows = y[..., : -3 * r or None].unflatten(-1, (-1, self.pitch))
        return rows[..., r : r + self.height, r : r + self.width]

    def _window(self, like, count):
        return like.new_empty(count, self.kernel_size, self.kernel_size, self.length)

    def _chunks(self, v, windows):
        """Slices of heads, the room for C * kernel numbers a position, and more for kernel * kernel of them."""
        size = v.shape[1] * self.kernel_size * self.length
        step = max(1, min(len(v), len(v) if v.is_cuda else CHUNK // size))
        room = v.new_empty(step, v.shape[1], self.kernel_size, self.length)
        chunks = [slice(n, min(n + step, len(v))) for n in range(0, len(v), step)]
        return chunks, room, [self._window(v, step) for _ in range(windows)]

    # The three contractions; one step takes all offsets (a, b) of a row a of the window.

    def _shifted(self, keys, a):
        """(heads, C, kernel, length): for each b the keys at offset (a, b), without a copy."""
        start = a * self.pitch
        return keys[..., start : start + self.length + self.kernel_size - 1].unfold(-1, self.length, 1)

    def _products(self, q, keys, room, windows):
        """Over channels: each query times the key at each offset."""
        room, windows = room[: len(q), : q.shape[1]], windows[: len(q)]
        for a in range(self.kernel_size):
            torch.mul(q[:, :, None], self._shifted(keys, a), out=room)
            torch.sum(room, 1, out=windows[:, a])
        return windows

    def _collect(self, shares, keys, room, y):
        """Over offsets: the keys of a window, weighted."""
        room = room[: len(y), : y.shape[1]]
        for a in range(self.kernel_size):
            torch.mul(shares[:, None, a], self._shifted(keys, a), out=room)
            y.copy_(room.sum(2)) if a == 0 else y.add_(room.sum(2))

    def _spread(self, shares, q, room, keys):
        """Over offsets: each query, weighted, added to the keys of its window."""
        room = room[: len(q), : q.shape[1]]
        # Row b moved b places to the right: what leaves it comes from the line's last places, where q is 0.
        skewed = room.as_strided(room.shape, (*room.stride()[:2], self.length - 1, 1))
        for a in range(self.kernel_size):
            torch.mul(shares[:, None, a], q[:, :, None], out=room)
            keys[..., a * self.pitch : a * self.pitch + self.length] += skewed.sum(2)


class _Dense:
    """Every key against every pixel, (N heads, keys, pixels), those outside its window far below all others.

    The zero keys beyond the border have no q . k and no value: together they are one more key, of which a pixel's logit
    is the log of their summed exponentials. The logits of rows, of columns and of that key go to the keys concerned by
    a product with ones and zeros, which costs less than additions over short rows.
    """

    def __init__(self, kernel_size: int, height: int, width: int, border: str) -> None:
        self.kernel_size, self.height, self.width, self.border = kernel_size, height, width, border

    def forward(self, q, k, v, rows, columns, learns):
        beyond, *kept = self._beyond(rows, columns, learns)
        logits = torch.cat([self._banded(rows, 3), self._banded(columns, 4), beyond], 1).flatten(2)
        s = torch.bmm(F.pad(k.flatten(2), (0, 1)).mT, q.flatten(2))
        s.baddbmm_(self._concerned(logits).mT, logits)
        p = s.softmax(1)
        return torch.bmm(v.flatten(2), p[:, :-1]).view(v.shape), p, *kept

    def backward(self, gradient, q, k, v, y, p, *to_beyond):
        q, k, v, g, y = (t.flatten(2) for t in (q, k, v, gradient, y))
        ds = torch.bmm(F.pad(v, (0, 1)).mT, g)
        ds -= (y * g).sum(1, keepdim=True)  # the mean of p dp, which the softmax's derivative takes off
        ds *= p
        inside = ds[:, :-1]
        by_pixel = torch.bmm(k, inside), torch.bmm(q, inside.mT), torch.bmm(g, p[:, :-1].mT)
        dlogits = torch.bmm(self._concerned(ds), ds).unflatten(2, (self.height, self.width))
        drows, dcolumns, dbeyond = dlogits.split([self.height, self.width, 1], 1)
        drows, dcolumns = self._unbanded(drows, 3), self._unbanded(dcolumns, 4)
        if to_beyond:
            drows, dcolumns = drows + to_beyond[0] * dbeyond, dcolumns + to_beyond[1] * dbeyond
        return *(t.unflatten(2, (self.height, self.width)) for t in by_pixel), drows, dcolumns

    def _concerned(self, like):
        """Which of H rows, W columns and the key beyond each key belongs to: (heads, H + W + 1, H W + 1) of 1 and 0."""
        key = torch.arange(self.height * self.width, device=like.device)
        table = like.new_zeros(self.height + self.width + 1, len(key) + 1)
        table[key // self.width, key] = 1
        table[self.height + key % self.width, key] = 1
        table[-1, -1] = 1
        return table.expand(len(like), -1, -1)

    def _band(self, line, axis):
        """The entries of a padded line of keys, (N heads, keys, H, W), in each pixel's window: ordered by offset."""
        n, key, i, j = line.stride()
        steps = (i + key, j) if axis == 3 else (i, j + key)
        return line.as_strided((len(line), self.kernel_size, self.height, self.width), (n, key, *steps))

    def _banded(self, logits, axis):
        """Logits by offset -> by the key's row or column, far below all others outside the window."""
        r, keys = self.kernel_size // 2, self.height if axis == 3 else self.width
        line = logits.new_full((len(logits), keys + 2 * r, self.height, self.width), _far_below(logits))
        self._band(line, axis).copy_(logits)
        return line[:, r : r + keys].clamp_min(_far_below(logits))  # where the border is masked

    def _unbanded(self, gradient, axis):
        """The gradient by the key's row or column -> by offset."""
        r = self.kernel_size // 2
        return self._band(F.pad(gradient, (0, 0, 0, 0, r, r)), axis)

    def _beyond(self, rows, columns, learns):
        """Logit of all keys beyond the border, (N heads, 1, H, W), and its derivative to the rows' and columns' logits.

        A row of the window beyond the border counts with all its columns, any other with the columns beyond.
        """
        if self.border == "mask":
            return (torch.full_like(rows[:, :1], _far_below(rows)),)
        far_rows = _outside(self.kernel_size, self.height, 3, rows.device)
        far_columns = _outside(self.kernel_size, self.width, 4, rows.device)

        def along(logits, far, far_across):
            far_ones = logits.masked_fill(~far, _far_below(logits))
            return torch.where(far_across, _logsumexp(logits), _logsumexp(far_ones))

        rows_counted = rows + along(columns, far_columns, far_rows)
        beyond = _logsumexp(rows_counted)
        if not learns:
            return (beyond,)
        columns_counted = columns + along(rows, far_rows, far_columns)
        return beyond, *((t - beyond).clamp_(-80, 0).exp_() for t in (rows_counted, columns_counted))


def _far_below(logits: Tensor) -> float:
    """Minus infinity for a sum of three logits, but 0 times it is 0."""
    return torch.finfo(logits.dtype).min / 4


def _logsumexp(logits: Tensor) -> Tensor:
    """Over axis 1, which is kept. What is 80 below the largest, 1e-35 of it, would only make the exponential slow."""
    largest = logits.amax(1, keepdim=True)
    return largest + (logits - largest).clamp_min_(-80).exp_().sum(1, keepdim=True).log_()
