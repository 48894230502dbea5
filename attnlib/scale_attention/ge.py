"""Gather-Excite (GE): Hu, Shen, Albanie, Sun and Vedaldi, NeurIPS 2018, arXiv 1810.12348.

Gather summarises each channel over windows, excite resizes the summary to the map and gates with its sigmoid. Status:
the default has no parameters at all, so that only the layers around it can learn what it gates. With parameters and
global extent the kernel is as large as the map: the module is tied to one size, and costs C H W parameters.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import ScaleAttention, check_choice, check_count, check_map, check_reduction, check_size
from attnlib.scale_attention.norms import check_values

EXTENTS = (0, 2, 4, 8)
VARIANTS = ("theta-", "theta", "theta+")


class GE(ScaleAttention):
    """Gate every value by what its channel holds around it: y = x * sigmoid(interp(f(gather(x)))).

        "theta-"   gather: mean over the window of 2e - 1 pixels on a side, every e pixels; of the pixels that are there
        "theta"    gather: log2(e) depthwise 3 x 3 convolutions of stride 2, each with a batch norm, ReLU between them
        "theta+"   the same, then f = W_2 relu(W_1 relu(.) + b_1) + b_2, two 1 x 1 convolutions

    With global extent "theta-" takes the mean over the map, the others one depthwise convolution as large as the map
    and a batch norm. interp is the nearest pixel: row i of H comes from row floor(i h / H) of h = ceil(H / e).

    Args:
        channels: number of channels C of the map.
        extent: the paper's extent ratio e: 2, 4 or 8; 0 is global.
        variant: the paper's GE-theta-minus, GE-theta and GE-theta-plus.
        size: (H, W) of the map or the side of a square one, for the kernel as large as the map ("theta" and "theta+"
            with extent 0), and for nothing else.
        reduction: of "theta+": its hidden layer has floor(C / reduction) units.

    Shapes: x and the output (N, C, H, W); the gate (N, C, 1, 1) with extent 0, else (N, C, H, W).
    torch.export leaves H and W open from two windows a side on.

    Parameters: "theta-" none; "theta" 11 C log2(e), global C H W + 2 C; "theta+" 2 C h + C + h more, with
    h = floor(C / reduction).

    Raises:
        ValueError: an extent, variant or size that does not fit; C < reduction; a map of another shape or, with a
            kernel as large as the map, of another size; in train mode a single gathered value per channel.
        TypeError: channels, extent or reduction is not an integer; an input that is not floating point.

    Source: gather and excite from the paper's equations; the ReLU after the last batch norm and the biases of "theta+"
    from the released prototxt, since the paper leaves f open, as is the batch norms' momentum (0.95 kept).
    Where the released code differs: only global extents were released; one of its sixteen gather layers has a bias, by
    omission.
    """

    def __init__(
        self,
        channels: int,
        extent: int = 0,
        variant: str = "theta-",
        size: int | tuple[int, int] | None = None,
        reduction: int = 16,
    ) -> None:
        check_count("channels", channels)
        if type(extent) is not int:
            raise TypeError(f"extent must be an int, got {extent!r}; it may be {EXTENTS}, where 0 is global")
        if extent not in EXTENTS:
            raise ValueError(f"extent must be one of {EXTENTS}, where 0 is global, got {extent!r}")
        check_choice("variant", variant, VARIANTS)
        tied = extent == 0 and variant != "theta-"
        if tied and size is None:
            raise ValueError(f"variant={variant!r} with extent=0 needs size=(H, W): its kernel is as large as the map")
        if size is not None and not tied:
            raise ValueError(f"size={size} is for a kernel as large as the map alone; leave size out")
        if tied:
            size = check_size("size", size)
        check_count("reduction", reduction)
        hidden = check_reduction(channels, reduction) if variant == "theta+" else 0
        super().__init__(channels)
        self.extent, self.variant, self.size = extent, variant, size
        if variant != "theta-":
            self.gather = learned_gather(channels, extent, size)
        elif extent == 0:
            self.gather = nn.AdaptiveAvgPool2d(1)
        else:
            self.gather = nn.AvgPool2d(2 * extent - 1, stride=extent, padding=extent - 1, count_include_pad=False)
        self.excite = nn.Identity()
        if variant == "theta+":
            down, up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)  # W_1, b_1 and W_2, b_2
            self.excite = nn.Sequential(nn.ReLU(), down, nn.ReLU(), up)

    def gate(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C #H #W"]:
        self._check(x)
        # A sigmoid of the small map before it is resized: the same values as after it.
        gate = torch.sigmoid(self.excite(self.gather(x))).to(x.dtype)
        return gate if self.extent == 0 else resize_nearest(gate, x.shape[2], x.shape[3])

    def _check(self, x: Tensor) -> None:
        """Refuse x before any running statistic is updated."""
        check_map(x, self.channels)
        if self.size is not None and x.shape[2:] != self.size:
            raise ValueError(
                f"this GE has a kernel of {self.size[0]} x {self.size[1]}, as large as its map, got {tuple(x.shape)}; "
                f"build it with size={tuple(x.shape[2:])}"
            )
        images, _, *size = x.shape
        for norm in (layer for layer in self.gather.modules() if isinstance(layer, nn.BatchNorm2d)):
            size = [1 if self.extent == 0 else (side + 1) // 2 for side in size]
            check_values("gather", norm, images * size[0] * size[1], x.shape)

    def network_init_(self) -> None:
        """As the released prototxts: He for the gather kernels, Gaussian of 0.01 and biases 0 for f, norms 1 and 0."""
        for layer in self.gather.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)
        for layer in self.excite.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, extent={self.extent}"


def learned_gather(channels: int, extent: int, size: tuple[int, int] | None) -> nn.Sequential:
    """The depthwise convolutions with their batch norms: one as large as the map, or one for each halving."""
    layers: list[nn.Module] = []
    for _ in range(1 if extent == 0 else extent.bit_length() - 1):
        if layers:
            layers.append(nn.ReLU())
        kernel = {"kernel_size": size} if extent == 0 else {"kernel_size": 3, "stride": 2, "padding": 1}
        layers.append(nn.Conv2d(channels, channels, groups=channels, bias=False, **kernel))
        layers.append(nn.BatchNorm2d(channels, momentum=0.05))
    return nn.Sequential(*layers)


def resize_nearest(x: Float[Tensor, "N C h w"], height: int, width: int) -> Float[Tensor, "N C H W"]:
    """Row i of H is row floor(i h / H), columns alike."""
    h, w = x.shape[2:]
    # A traced module has to serve other sizes too; these shortcuts are for one.
    if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        if h == w == 1:
            return x.expand(-1, -1, height, width)
        if scales_exactly(h, height) and scales_exactly(w, width):
            return F.interpolate(x, size=(height, width), mode="nearest")
    rows = torch.arange(height, device=x.device) * h // height
    columns = torch.arange(width, device=x.device) * w // width
    return x.index_select(2, rows).index_select(3, columns)


@cache
def scales_exactly(small: int, large: int) -> bool:
    """Whether F.interpolate finds row floor(i small / large) for every i.

    It rounds small / large to float32 first, and then at times takes the row before: 7 for 8 at i = 61 of 16 / 122.
    """
    i = np.arange(large)
    return np.array_equal(np.floor(i.astype(np.float32) * (np.float32(small) / np.float32(large))), i * small // large)
