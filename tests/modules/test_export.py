"""torch.compile in one graph, torch.export and ONNX with sizes left open; without the type checker's wrappers."""

import onnxruntime
import pytest
import torch
from torch.export import Dim

from tests.cases import every_case, sampled_cases, sampled_modes
from tests.harness import draw, sample, statistics_of

pytestmark = pytest.mark.export


@sampled_modes
def test_compiles_in_one_graph(case, training):
    torch.compiler.reset()
    x, results = sample(case, *case.shape), []
    for compiled in (False, True):
        module, leaf = case.build().train(training), x.clone().requires_grad_()
        call = torch.compile(module, fullgraph=True, backend="aot_eager") if compiled else module
        output = call(leaf)
        (draw(output.shape, seed=2) * output).sum().backward()
        gradients = [parameter.grad for parameter in module.parameters()]
        results.append([output.detach(), leaf.grad, *gradients, *statistics_of(module).values()])
    for eager, traced in zip(*results, strict=True):
        torch.testing.assert_close(traced, eager, atol=1e-12, rtol=1e-12)


def open_sizes(case):
    """What an exported module leaves open: N, and the map's size where the parameters are not tied to it.

    The exporter finds the lowest value of each by itself: a module that pools has one.
    """
    axes = [0] if case.tied or case.fixed_size else [0, *range(2, len(case.shape) + 1)]
    return dict.fromkeys(axes, Dim.DYNAMIC)


def example_shape(case, shape):
    """`shape`, enlarged until the smallest map inside the module has two pixels a side: a size of 1 is no open one."""
    sides = shape[1:] if case.tied or case.fixed_size else [max(side, 2 * case.smallest) for side in shape[1:]]
    return max(shape[0], 2), *sides


def other_shapes(case):
    """Shapes that the export has not seen."""
    if case.tied or case.fixed_size:
        return [(5, *case.shape[1:]), (1, *case.shape[1:])]
    grown = [(shape[0] + 1, *(side + 2 for side in shape[1:])) for shape in case.shapes[1:]]
    return [example_shape(case, shape) for shape in [(5, *case.shape[1:]), *grown]]


@pytest.mark.thorough  # ONNX goes through it
@every_case
def test_exports_with_batch_and_size_left_open(case):
    module = case.build().eval()
    example = (sample(case, *example_shape(case, case.shape)),)
    program = torch.export.export(module, example, dynamic_shapes={"x": open_sizes(case)}).module()
    for shape in other_shapes(case):
        x = sample(case, *shape)
        torch.testing.assert_close(program(x), module(x), atol=1e-12, rtol=1e-12)


@sampled_cases
def test_onnx_runs_elsewhere_to_the_same_output(case):
    module = case.build(dtype=torch.float32).eval()
    example = (sample(case, *example_shape(case, case.shape), dtype=torch.float32),)
    program = torch.onnx.export(
        module, example, dynamo=True, dynamic_shapes={"x": open_sizes(case)}, verbose=False, external_data=False
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in other_shapes(case):
        x = sample(case, *shape, dtype=torch.float32)
        (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(output), module(x), atol=10 * case.single, rtol=10 * case.single)
