"""torch.compile in one graph and torch.export with sizes left open; without the type checker's wrappers."""

import pytest
import torch
from torch.export import Dim

from attnlib import info
from tests.harness import sample
from tests.scale_attention.cases import every_case, every_mode

pytestmark = pytest.mark.export


@every_mode
def test_compiles_in_one_graph(case, training):
    torch.compiler.reset()
    x, weighting = sample(case, 2, 9, 7), sample(case, 2, 9, 7, seed=2)
    results = []
    for compiled in (False, True):
        module, leaf = case.build().train(training), x.clone().requires_grad_()
        call = torch.compile(module, fullgraph=True, backend="aot_eager") if compiled else module
        output = call(leaf)
        (weighting * output).sum().backward()
        gradients = [parameter.grad for parameter in module.parameters()]
        results.append([output.detach(), leaf.grad, *gradients, *module.buffers()])
    for eager, traced in zip(*results, strict=True):
        torch.testing.assert_close(traced, eager, atol=1e-12, rtol=0)


@every_case
def test_exports_with_batch_and_size_left_open(case):
    tied = info(case.key).needs_size(dict(case.arguments))
    sizes = {0: Dim("N")} if tied else {0: Dim("N"), 2: Dim("H"), 3: Dim("W")}
    module = case.build().eval()
    program = torch.export.export(module, (sample(case, 2, 9, 7),), dynamic_shapes={"x": sizes}).module()
    for shape in [(5, 9, 7), (1, 9, 7)] if tied else [(5, 9, 7), (3, 13, 11), (1, 4, 16)]:
        x = sample(case, *shape)
        torch.testing.assert_close(program(x), module(x), atol=1e-12, rtol=0)
