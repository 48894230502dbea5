"""ResNets whose spatial convolutions are self-attention: Ramachandran, Parmar, Vaswani, Bello, Levskaya and Shlens,
"Stand-Alone Self-Attention in Vision Models", NeurIPS 2019, arXiv 1906.05909.

torchvision's bottleneck ResNet; in the stages chosen, `SASA` stands in place of each 3 x 3 convolution.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from attnlib.base import check_choice, check_count
from attnlib.self_attention.sasa import SASA
from attnlib.self_attention.sasa_stem import VALUES, SASAStem

# The 38 and 26 layers leave out one and two of ResNet-50's blocks in each stage.
BLOCKS = {26: (1, 2, 4, 1), 38: (2, 3, 5, 2), 50: (3, 4, 6, 3)}
KINDS = ("conv", "attention")


def sasa_resnet(
    depth: int,
    classes: int = 1000,
    stages: Sequence[str] = ("attention",) * 4,
    stem: str = "conv",
    stem_values: str = "aware",
    **attention: Any,
) -> ResNet:
    """A bottleneck ResNet of 26, 38 or 50 layers with convolution or attention in each stage and in the stem.

    Args:
        depth: 26, 38 or 50: BLOCKS blocks in the four stages.
        classes: outputs of the linear layer.
        stages: "conv" or "attention" for each of the four stages (Table 3). With attention, conv2 of each block is
            `SASA` of the block's width, window 7 and 8 heads; a block of stride 2 averages 2 x 2 pixels after it.
        stem: "conv" is torchvision's 7 x 7 convolution and 3 x 3 pooling; "attention" is `SASAStem`, which ends in its
            own norm and pooling. No ReLU follows it, since the paper names none.
        stem_values: how an attention stem makes its values: "aware", "convolution" or "plain" (Table 7).
        attention: arguments of every `SASA` (kernel_size, heads, positions, content, border, projections).

    Shapes: images (N, 3, H, W), 224 x 224 in the paper, to scores (N, classes). Stage s works on maps of
    ceil(H / 2^(s + 1)) rows, with either stem.

    Parameters: 25,557,032 for depth 50 without attention; 18,038,632 with it in all four stages.

    Raises:
        ValueError: another depth; not four stages, an unknown kind; arguments that nothing takes; what SASA refuses.
        TypeError: classes is not an integer.

    Initialisation: convolutions as in torchvision, attention by `network_init_`. The paper gives none, and no code of
    its authors was published.
    """
    check_count("classes", classes)
    if depth not in BLOCKS:
        raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth!r}")
    if isinstance(stages, str) or len(stages) != 4:
        raise ValueError(f"stages must be four of 'conv' and 'attention', got {stages!r}; e.g. {('attention',) * 4}")
    for stage in stages:
        check_choice("stages", stage, KINDS)
    check_choice("stem", stem, KINDS)
    check_choice("stem_values", stem_values, VALUES)
    if stem == "conv" and stem_values != "aware":
        raise ValueError(f"stem_values={stem_values!r} needs stem='attention', got stem='conv'")
    if attention and "attention" not in stages:
        raise ValueError(f"{attention} go to the attention of the stages, but stages={tuple(stages)} have none")
    fixed = sorted({"channels", "out_channels", "stride"} & set(attention))
    if fixed:
        raise ValueError(f"{', '.join(fixed)} follow from the block that SASA stands in; leave them out")

    model = ResNet(Bottleneck, list(BLOCKS[depth]), num_classes=classes)
    if stem == "attention":
        model.conv1 = SASAStem(3, 64, values=stem_values)
        model.conv1.network_init_()
        model.bn1, model.relu, model.maxpool = nn.Identity(), nn.Identity(), nn.Identity()
    for number, kind in enumerate(stages, start=1):
        if kind == "attention":
            for block in getattr(model, f"layer{number}"):
                layer = SASA(block.conv2.in_channels, stride=block.stride, **attention)
                layer.network_init_()
                block.conv2 = layer
    return model
