"""What networks cost with each module, as package data; `python -m benchmarks.costs` computes it."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from attnlib.training.recipe import reasons

if TYPE_CHECKING:
    import pandas

TABLE = Path(__file__).parent / "costs" / "costs.json"


class CostTable(BaseModel):
    """The table; what it depends on stands in book/stamps/costs.json.

    Attributes:
        torch: the version of PyTorch that computed them.
        left_out: {"network with module": why that module does not go into that network}.
        rows: one for each network and module; see `costs`.
    """

    model_config = ConfigDict(extra="forbid")

    torch: str
    left_out: dict[str, str]
    rows: list[dict[str, str | int]]


def cost_table(path: str | Path = TABLE) -> CostTable:
    """Read the table of costs.

    Raises:
        ValueError: no such file, or another one; the message says which field and why.
    """
    try:
        return CostTable.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise ValueError(f"there is no table of costs at {path}; `python -m benchmarks.costs` computes it") from None
    except ValidationError as error:
        raise ValueError(f"{path} is not a table of costs: {reasons(error)}") from error


def costs(path: str | Path = TABLE) -> "pandas.DataFrame":
    """What one image costs in each network, and in many with each module at its paper's place: one row a pair.

    Columns: network, kind, module ("none" is the plain network), image_size, classes; parameters; macs (multiply-adds)
    and, summing to it, convolution, linear, matmul, attention; elementwise, activations, peak_training_bytes. What they
    count, `attnlib.profiling.cost.Cost` says; of a detector the pyramid and the heads that run at every pixel.

    Raises:
        ValueError: no such file, or another one.
    """
    import pandas

    return pandas.DataFrame(cost_table(path).rows)
