"""The kernels of local attention: equal to the form to read, chosen by size, and what they hold in memory."""

import pytest
import torch

from attnlib import kernels
from attnlib.kernels import local
from attnlib.profiling.memory import LiveBytes
from attnlib.self_attention.local import local_attention, windows_form


def drawn(batch, heads, width, height, wide, kernel_size=3, key=True, positions=True, scale=1.0, **tensor):
    """query, key, value, row and column of `local_attention`, all to be learned."""
    torch.manual_seed(0)
    tensor = {"dtype": torch.float64, "requires_grad": True} | tensor
    query, keys, value = (torch.randn(batch, heads, width, height, wide, **tensor) for _ in range(3))
    row, column = (torch.randn(heads, width // 2, kernel_size, **tensor) for _ in range(2))
    with torch.no_grad():
        query *= scale
    return [query, keys if key else None, value, *((row, column) if positions else (None, None))]


def gradients(y, inputs):
    weighting = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    return torch.autograd.grad(y, [t for t in inputs if t is not None], weighting, allow_unused=True)


@pytest.fixture(params=["dense", "shifts"])
def form(request, monkeypatch):
    """Either fast form for every size."""
    monkeypatch.setattr(local, "DENSE", {"dense": 10**9, "shifts": 0}[request.param])
    return request.param


every_border = pytest.mark.parametrize("border", ["pad", "mask"])


@every_border
@pytest.mark.parametrize("terms", [{}, {"key": False}, {"positions": False}], ids=["all", "no key", "no positions"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(5, 4), (9, 7), (1, 6), (6, 1), (1, 1), (3, 8)], ids=str)
def test_both_fast_forms_are_the_readable_one(form, size, kernel_size, terms, border):
    inputs = drawn(2, 3, 4, *size, kernel_size, **terms)
    expected, found = windows_form(*inputs, kernel_size, border), local_attention(*inputs, kernel_size, border)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    for ours, theirs in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    with torch.no_grad():
        assert torch.equal(local_attention(*inputs, kernel_size, border), found)


def test_chunks_that_do_not_fill_up_change_nothing(monkeypatch):
    inputs = drawn(3, 5, 2, 9, 7)
    monkeypatch.setattr(local, "DENSE", 0)
    whole = local_attention(*inputs, 3, "pad")
    monkeypatch.setattr(local, "CHUNK", 4 * whole[0, 0].numel() * 3 * 9 // 7)  # four heads of fifteen at a time
    parts = local_attention(*inputs, 3, "pad")
    assert torch.equal(parts, whole)
    for ours, theirs in zip(gradients(parts, inputs), gradients(whole, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@every_border
@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_logits_of_any_size_give_finite_shares(form, border, scale):
    inputs = drawn(1, 2, 4, 5, 6, scale=scale, dtype=torch.float32)
    y = local_attention(*inputs, 3, border)
    torch.testing.assert_close(y, windows_form(*inputs, 3, border), atol=1e-4, rtol=1e-4)
    assert all(gradient.isfinite().all() for gradient in gradients(y, inputs))


def test_the_keys_beyond_the_border_can_take_all(form):
    """Where the relative logits of the padding exceed all others by more than an exponential can hold."""
    query, key, value, row, column = drawn(1, 1, 2, 5, 5, dtype=torch.float32)
    with torch.no_grad():
        query.fill_(1.0)
        key.mul_(0.01)
        row[..., 0] = 500.0  # the row above
    y = local_attention(query, key, value, row, column, 3, "pad")
    assert not y[..., 0, :].any()
    torch.testing.assert_close(y, windows_form(query, key, value, row, column, 3, "pad"))


@every_border
def test_second_derivatives(form, border):
    inputs = drawn(1, 1, 2, 3, 2)
    assert torch.autograd.gradgradcheck(lambda *t: local_attention(*t, 3, border), inputs)


def test_only_what_is_learned_gets_a_gradient(form):
    inputs = drawn(1, 2, 2, 4, 5)
    expected = gradients(local_attention(*inputs, 3, "pad"), inputs)
    for place, tensor in enumerate(inputs):
        alone = [t.detach().requires_grad_(t is tensor) for t in inputs]
        y = local_attention(*alone, 3, "pad")
        (found,) = gradients(y, [alone[place]])
        torch.testing.assert_close(found, expected[place], atol=1e-14, rtol=0)
        y = local_attention(*alone, 3, "pad")
        (once_more,) = torch.autograd.grad(y.square().sum(), alone[place], create_graph=True)
        assert once_more.requires_grad


def test_transforms_see_through_it():
    inputs = [t.detach() for t in drawn(3, 2, 2, 4, 5)]
    query, *rest = inputs

    def attend(q):
        return local_attention(q, *rest, 3, "pad")

    tangent = torch.randn_like(query)
    _, forward = torch.func.jvp(attend, (query,), (tangent,))
    reverse = torch.func.vjp(attend, query)[1](forward)[0]
    torch.testing.assert_close((reverse * tangent).sum(), forward.square().sum())
    with torch.autograd.forward_ad.dual_level():
        dual = attend(torch.autograd.forward_ad.make_dual(query, tangent))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, forward)
    beside = torch.func.vmap(lambda noise: attend(query) + noise)(tangent[None])
    torch.testing.assert_close(beside[0], attend(query) + tangent)


def test_small_maps_are_dense_and_larger_ones_shifted(monkeypatch):
    ran = []
    for form in (local._Dense, local._Shifts):
        run = form.forward
        monkeypatch.setattr(form, "forward", lambda self, *a, run=run: (ran.append(type(self)), run(self, *a))[1])
    for size in (8, 12, 13, 16):
        local_attention(*drawn(1, 1, 2, size, size, 7), 7, "pad")
    with kernels.off():
        local_attention(*drawn(1, 1, 2, 8, 8, 7), 7, "pad")
    assert ran == [local._Dense, local._Dense, local._Shifts, local._Shifts]


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_training_step_holds_at_most_a_quarter_of_the_copied_windows(size):
    """Eight heads of 64 channels, batch 8, k = 7."""

    def peak(attend):
        inputs = drawn(8, 8, 8, size, size, 7, dtype=torch.float32, device="meta")
        with LiveBytes() as memory:
            attend(*inputs, 7, "pad").sum().backward()
        return memory.peak

    assert peak(local_attention) < peak(windows_form) / 4
