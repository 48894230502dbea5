"""Additive attention: its loop form, gradients, sizes, refusals."""

import pytest
import torch
from torch.export import Dim

from attnlib.self_attention.additive import AdditiveAttention
from tests.harness import draw
from tests.reference.dot_product import additive


def drawn(query_channels=3, key_channels=5, hidden=4):
    torch.manual_seed(0)
    return AdditiveAttention(query_channels, key_channels, hidden).double()


def test_contexts_are_those_of_the_loop_form():
    attention, query, key = drawn(), draw((2, 6, 3), 0), draw((2, 7, 5), 1)
    w_a, u_a, v_a = (layer.weight.tolist() for layer in (attention.query, attention.key, attention.score))
    expected = [additive(q, k, w_a, u_a, v_a[0]) for q, k in zip(query.tolist(), key.tolist(), strict=True)]
    contexts, weights = attention(query, key)
    torch.testing.assert_close(contexts, torch.tensor(expected, dtype=torch.complex128).real, atol=1e-14, rtol=0)
    torch.testing.assert_close(weights @ key, contexts, atol=1e-14, rtol=0)


def test_each_row_of_the_weights_is_a_distribution_over_the_keys():
    _, weights = drawn()(draw((2, 6, 3), 0), draw((2, 7, 5), 1))
    assert weights.shape == (2, 6, 7)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6).double(), atol=1e-15, rtol=0)


def test_gradients():
    attention = drawn()
    inputs = draw((1, 2, 3), 0).requires_grad_(), draw((1, 3, 5), 1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda query, key, *parameters: attention(query, key), (*inputs, *attention.parameters())
    )


def test_a_score_is_bounded_by_the_sizes_of_v():
    """Unlike a dot product: the tanh saturates, so that no query or key is long enough to take everything."""
    attention = drawn()
    _, weights = attention(1e6 * draw((1, 6, 3), 0), 1e6 * draw((1, 7, 5), 1))
    spread = weights.log().amax(-1) - weights.log().amin(-1)
    assert (spread <= 2 * attention.score.weight.abs().sum() + 1e-12).all()


def test_parameters_are_the_two_matrices_and_the_vector():
    count = sum(parameter.numel() for parameter in AdditiveAttention(1000, 2000, 1000).parameters())
    assert count == 1000 * 1000 + 1000 * 2000 + 1000


@pytest.mark.parametrize("name", ["query_channels", "key_channels", "hidden"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (2.0, TypeError)])
def test_sizes_that_are_none_are_refused(name, value, error, own_errors):
    with pytest.raises(error, match=f"{name} must be .*got {value}; pass a whole number"):
        AdditiveAttention(**({"query_channels": 3, "key_channels": 5, "hidden": 4} | {name: value}))


@pytest.mark.parametrize(
    ("query", "key", "says"),
    [
        ((2, 6, 4), (2, 7, 5), r"query must have shape \(N, number of vectors, 3\), got \(2, 6, 4\)"),
        ((2, 6, 3), (7, 5), r"key must have shape \(N, number of vectors, 5\), got \(7, 5\)"),
        ((2, 6, 3), (1, 7, 5), r"one N, got \(2, 6, 3\) and \(1, 7, 5\); .*key.expand"),
        ((2, 6, 3), (2, 0, 5), r"no key to attend to, got key of shape \(2, 0, 5\)"),
    ],
)
def test_vectors_of_another_shape_are_refused(query, key, says, own_errors):
    with pytest.raises(ValueError, match=says):
        drawn()(draw(query, 0), draw(key, 1))


def test_half_precision_is_close_and_keeps_the_key_s_type():
    attention, query, key = drawn(), draw((2, 6, 3), 0), draw((2, 7, 5), 1)
    exact, _ = attention(query, key)
    contexts, weights = attention.bfloat16()(query.bfloat16(), key.bfloat16())
    assert contexts.dtype == weights.dtype == torch.bfloat16
    torch.testing.assert_close(contexts.double(), exact, atol=0.05, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        contexts, _ = attention.float()(query.float(), key.float())
    torch.testing.assert_close(contexts.double(), exact, atol=0.05, rtol=0.05)


# Compiled and exported.

OPEN = {"query": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, "key": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}}


@pytest.mark.export
def test_compiles_in_one_graph():
    inputs, results = (draw((2, 6, 3), 0), draw((2, 7, 5), 1)), []
    for compiled in (False, True):
        attention, leaves = drawn(), [tensor.clone().requires_grad_() for tensor in inputs]
        call = torch.compile(attention, fullgraph=True, backend="aot_eager") if compiled else attention
        contexts, weights = call(*leaves)
        (contexts.square().sum() + weights.square().sum()).backward()
        gradients = [tensor.grad for tensor in (*leaves, *attention.parameters())]
        results.append([contexts.detach(), weights.detach(), *gradients])
    for eager, traced in zip(*results, strict=True):
        torch.testing.assert_close(traced, eager, atol=1e-12, rtol=1e-12)


@pytest.mark.export
def test_exports_and_runs_elsewhere_with_open_numbers_of_queries_and_keys():
    onnxruntime = pytest.importorskip("onnxruntime")
    attention = drawn().float().eval()
    example, other = ((draw((n, q, 3), 0).float(), draw((n, k, 5), 1).float()) for n, q, k in ((2, 6, 7), (3, 4, 9)))
    program = torch.export.export(attention, example, dynamic_shapes=OPEN).module()
    torch.testing.assert_close(program(*other), attention(*other))
    model = torch.onnx.export(
        attention, example, dynamo=True, dynamic_shapes=OPEN, verbose=False, external_data=False
    ).model_proto
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, other, strict=True)})
    for one, expected in zip(found, attention(*other), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), expected)
