"""The longest chain of a graph, counted on sums whose graphs are known."""

import pytest
import torch

from attnlib.profiling.waiting import longest_chain


def test_a_chain_is_as_long_as_its_longest_branch():
    x = torch.ones(3, requires_grad=True)
    assert longest_chain(x.exp()) == 2  # the leaf and the exponential
    assert longest_chain(x.exp().exp().exp() + x.exp()) == 5


def test_paths_are_not_counted_twice():
    x = torch.ones(1, requires_grad=True)
    for _ in range(60):  # 2 to the 60 paths, 61 nodes
        x = x + x
    assert longest_chain(x) == 61


def test_a_result_without_a_graph_is_refused():
    with pytest.raises(ValueError, match="output has no graph"):
        longest_chain(torch.ones(1))
