"""A gate that ignores its input: the control every attention module has to beat.

Not from a paper. A gate that barely moves (NAM at its initialisation is 0.5 to two digits) rescales the residual branch
by a constant; whatever accuracy this control reaches at the same value is not due to attention.
"""

from jaxtyping import Float
from torch import Tensor

from attnlib.base import ScaleAttention, check_count, check_map, check_number


class Constant(ScaleAttention):
    """Multiply the map by one fixed number.

    Args:
        channels: number of channels C of the map.
        value: the gate; 0.5 is a sigmoid at zero, 0.0 cuts the branch off.

    Parameters: none. Raises TypeError for a value that is no number, ValueError for one that is not finite.
    """

    def __init__(self, channels: int, value: int | float = 0.5) -> None:
        check_count("channels", channels)
        check_number("value", value, "0.5 is a sigmoid at zero")
        super().__init__(channels)
        self.value = float(value)

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C 1 1"]:
        check_map(x, self.channels)
        return x.new_full((x.shape[0], self.channels, 1, 1), self.value)

    def extra_repr(self) -> str:
        return f"{self.channels}, value={self.value}"
