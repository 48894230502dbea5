"""Other names for the channels of a network: rows and columns of its layers, reordered alike."""

import re
from collections.abc import Mapping, Sequence

from jaxtyping import Int
from torch import Tensor


def reorder_channels(
    state: Mapping[str, Tensor],
    rows: Mapping[str, Int[Tensor, "channels"]],  # noqa: F821
    columns: Mapping[str, Int[Tensor, "channels"]],  # noqa: F821
) -> dict[str, Tensor]:
    """The state of a network whose channels have other names: `new[c] = old[order[c]]`.

    A layer writes channel c with row c of its weights, and the layer that reads it has a column for it. Where all who
    write a map and all who read it are reordered alike, the network computes what it did.

    Args:
        state: as `network.state_dict()` gives it; it stays as it is.
        rows: for each pattern of layers' names (a regular expression, matched as a whole), the order of the rows of all
            their tensors but scalars: weights, biases, norms and their running statistics.
        columns: the same for the columns of their weights.

    Raises:
        ValueError: a pattern matches no layer.
    """
    renamed = dict(state)
    layers = {name: name.rpartition(".")[0] for name in state}
    for patterns, at in ((rows, 0), (columns, 1)):
        for pattern, order in patterns.items():
            matched = [name for name, layer in layers.items() if re.fullmatch(pattern, layer)]
            if not matched:
                there = sorted(set(layers.values()))
                raise ValueError(f"the pattern {pattern!r} matches no layer; the layers are {there}")
            for name in matched:
                if at == 0 and renamed[name].dim():
                    renamed[name] = renamed[name][order]
                elif at == 1 and name.endswith(".weight"):
                    renamed[name] = renamed[name][:, order]
    return renamed


def stage_layers(orders: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Who writes and who reads the channels of each stage in a CIFAR ResNet with projections: `rows` and `columns`.

    A stage's channels are those of its shortcut. The stem, the projections and the end of each branch write them; the
    beginning of each branch and what follows the stage read them. An attention module may stand behind the last norm of
    a branch, as at the place `*bn2`: it is not reordered.

    Args:
        orders: one for each of the three stages, such as 16, 32 and 64 channels for `resnet20`.
    """
    first, second, third = orders
    rows = {
        r"conv1|bn1|layer1\..*(conv2|bn2|bn2\.layer)": first,
        r"layer2\..*(conv2|bn2|bn2\.layer|downsample\..*)": second,
        r"layer3\..*(conv2|bn2|bn2\.layer|downsample\..*)": third,
    }
    columns = {
        r"layer1\..*conv1|layer2\.0\.(conv1|downsample\.0)": first,
        r"layer2\.[1-9]\d*\.conv1|layer3\.0\.(conv1|downsample\.0)": second,
        r"layer3\.[1-9]\d*\.conv1|fc": third,
    }
    return rows, columns
