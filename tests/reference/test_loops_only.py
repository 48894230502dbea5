"""The references are loops over numbers and share nothing with the package: read from their syntax trees."""

import ast
from pathlib import Path

import pytest

FILES = [path for path in sorted(Path(__file__).parent.glob("*.py")) if not path.name.startswith("test_")]
# Everything that may be called besides the functions of the references themselves: nothing here reduces or broadcasts.
CALLS = {"enumerate", "len", "range", "append", "exp", "log", "sqrt", "tanh", "cos", "sin"}
WHOLE_ARRAY_OPERATORS = (ast.MatMult,)


def faults(source: str, own: set[str]) -> list[str]:
    """What in `source` is not a loop over scalars; `own` are the names that the references define or pass around."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {alias.name}" for alias in node.names if alias.name != "cmath"]
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("tests.reference"):
            found.append(f"from {node.module}")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, WHOLE_ARRAY_OPERATORS):
            found.append("@")
        elif isinstance(node, ast.Call):
            called = (
                node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", ast.dump(node.func))
            )
            method = isinstance(node.func, ast.Attribute)
            if called not in CALLS and (method or called not in own):
                found.append(f"{called}()")
    return found


def own_names() -> set[str]:
    names = {"act", "index", "function"}  # a function passed as an argument or taken from a table of own functions
    for path in FILES:
        names |= {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_is_loops_and_scalars(path):
    assert faults(path.read_text(), own_names()) == []


def test_no_reference_hides_behind_a_reduction_s_name():
    assert not own_names() & {"sum", "mean", "matmul", "einsum", "dot", "max", "min", "var", "std", "softmax"}


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import numpy as np",
        "from torch import mean",
        "from attnlib.scale_attention.nam import NAM",
        "a @ b",
        "a @= b",
        "sum(x)",
        "max(x)",
        "x.mean()",
        "np.exp(x).sum()",
        "torch.einsum('ij,j', a, b)",
        "__import__('torch')",
        "getattr(x, 'sum')()",
        "x.sigmoid()",
    ],
)
def test_the_check_refuses(source):
    assert faults(source, own_names())
