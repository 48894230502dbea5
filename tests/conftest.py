"""What all tests share: one thread, repeatable examples, and how to hear attnlib's own errors."""

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


def pytest_collection_modifyitems(items):
    """The runs on real images first: they take minutes, and two workers end sooner if the longest work starts first."""
    items.sort(key=lambda item: item.get_closest_marker("cifar") is None)
