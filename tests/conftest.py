"""What all tests share: one thread, repeatable examples, and how to hear attnlib's own errors."""

import os

import jaxtyping
import pytest
import torch
from hypothesis import settings

pytest.register_assert_rewrite("tests.harness")
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")
torch.set_num_threads(1)


@pytest.fixture
def own_errors():
    """Let attnlib's own checks speak: under --jaxtyping-packages, the type checker would refuse a wrong map first."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def pytest_collection_modifyitems(config, items):
    """Where the cases of one module are chosen (ATTNLIB_CASES=KEY), what is asked of each paper is asked of its own."""
    only = os.environ.get("ATTNLIB_CASES")
    if not only:
        return
    others = [item for item in items if hasattr(item, "callspec") and item.callspec.params.get("key", only) != only]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)
