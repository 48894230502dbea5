"""The released codes' operations, as the benchmarks string them together, compute what the modules compute."""

import inspect

import pytest
import torch

from benchmarks import released
from tests.cases import CASES, ONLY
from tests.harness import draw, sample

FORMS = {name: form for name, form in vars(released).items() if inspect.isfunction(form) and not name.startswith("_")}
MEASURED = {key: next(case for case in CASES if case.key == key) for key in FORMS if ONLY in (None, key)}


@pytest.mark.parametrize("tied", [False, True], ids=["any map", "maxima that tie"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("key", MEASURED)
def test_released_operations_give_our_output_and_gradients(key, training, tied):
    case, results = MEASURED[key], []
    size = (7, 7) if key == "bam" else (7, 9)  # BAM's released window is H x H
    x = sample(case, 2, *size)
    for form in (lambda module, x: module(x), FORMS[key]):
        module = case.build(size).train(training)
        leaf = (x.relu() if tied else x).clone().requires_grad_()
        y = form(module, leaf)
        (draw(y.shape, seed=2) * y).sum().backward()
        results.append([y.detach(), leaf.grad, *(parameter.grad for parameter in module.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-11)


def test_whatever_has_a_goal_is_measured():
    from benchmarks.modules import GOALS, PEER_GOALS

    assert set(GOALS) | set(PEER_GOALS) <= set(FORMS)
