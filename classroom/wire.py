"""How values travel between the judge and the sandbox: as JSON, arrays by their bytes, never as a pickle.

The sandbox runs a student's code, so whatever comes out of it may be forged: `decode` takes nothing for granted.
"""

import base64
import math
from typing import Any

import numpy as np
import torch

DTYPES = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"}
MOST_BYTES = 2 * 2**20  # of one array
DEEPEST, MOST_SIDES = 20, 16  # lists in lists, dimensions of an array


def encode(value: object) -> Any:
    """A value in JSON's types: numbers, texts, booleans, None, lists, tuples and dicts of them, arrays and tensors.

    Raises:
        TypeError: a value of another kind, or an array of another type than `DTYPES` (bfloat16 becomes float32).
        ValueError: an array of more than `MOST_BYTES`.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype is torch.bfloat16 else value).resolve_conj().resolve_neg().numpy()
        return {"tensor": _encoded(value)}
    if isinstance(value, np.ndarray | np.generic):
        return {"array": _encoded(np.asarray(value))}
    if isinstance(value, list | tuple):
        return {type(value).__name__ if type(value) in (list, tuple) else "tuple": [encode(each) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(each)] for key, each in value.items()]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a result must be numbers, texts, tensors or lists of them; this is a {type(value).__name__}")


def _encoded(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.name not in DTYPES:
        raise TypeError(f"an array of {array.dtype.name} cannot be judged; known: {', '.join(sorted(DTYPES))}")
    if array.nbytes > MOST_BYTES:
        raise ValueError(f"a result of {array.nbytes:,} bytes is too large; at most {MOST_BYTES:,}")
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def decode(value: Any, deepest: int = DEEPEST) -> object:
    """The value that `encode` was given.

    Args:
        value: of JSON.
        deepest: levels of lists and dicts that are read; what is compared later is walked through again and again.

    Raises:
        ValueError: something that `encode` does not write.
    """
    if deepest < 0:
        raise ValueError(f"lists in lists, more than {DEEPEST} deep")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not a value that the sandbox writes")
    [(kind, inner)] = value.items()
    if kind in ("tensor", "array"):
        array = _decoded(inner)
        return torch.from_numpy(array) if kind == "tensor" else array
    if kind == "float" and inner in ("inf", "-inf", "nan"):
        return float(inner)
    if kind in ("list", "tuple") and isinstance(inner, list):
        return [list, tuple][kind == "tuple"](decode(each, deepest - 1) for each in inner)
    if kind == "dict" and isinstance(inner, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in inner):
        try:
            return {decode(key, deepest - 1): decode(each, deepest - 1) for key, each in inner}
        except TypeError as error:
            raise ValueError("a key that cannot be one") from error
    raise ValueError("not a value that the sandbox writes")


def _decoded(inner: Any) -> np.ndarray:
    if not isinstance(inner, dict) or inner.keys() != {"dtype", "shape", "data"} or inner["dtype"] not in DTYPES:
        raise ValueError("not an array that the sandbox writes")
    dtype, shape, data = np.dtype(inner["dtype"]), inner["shape"], inner["data"]
    sides = shape if isinstance(shape, list) and len(shape) <= MOST_SIDES else [None]
    if not all(type(side) is int and 0 <= side <= MOST_BYTES for side in sides):
        raise ValueError("not a shape")
    if not isinstance(data, str) or math.prod(shape) * dtype.itemsize > MOST_BYTES:
        raise ValueError("too large an array")
    raw = base64.b64decode(data, validate=True)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError("an array whose bytes do not fill its shape")
    return np.frombuffer(raw, dtype).reshape(shape).copy()
