"""What is known of every module before it is imported: a table to read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["scale", "self", "control"]


@dataclass(frozen=True)
class ModuleInfo:
    """What is known of a module before it is imported.

    Attributes:
        key: the name that every room of the project uses.
        name: the name in prose.
        paper: authors, title, venue; empty for a control.
        family: "scale" (rescales the map by a gate), "self" (mixes positions), "control" (a baseline, no paper's).
        placement: where in a network the paper puts it.
        status: a candid line on what to expect.
        target: "module:Class" of the implementation.
        rule: the paper's placement among `attnlib.networks.RULES`, where `attach` puts it by default; None where its
            place is in no existing network.
        groups_for: the number of groups that `attach` and the recipes use at a width, where the paper's default does
            not fit every width; None where the module has no groups.
        needs_size: a function of the keyword arguments: does the module need the map's size?
    """

    key: str
    name: str
    paper: str
    family: Family
    placement: str
    status: str
    target: str = field(repr=False)
    rule: str | None = None
    groups_for: Callable[[int], int] | None = field(default=None, repr=False)
    needs_size: Callable[[dict[str, Any]], bool] = field(default=lambda arguments: False, repr=False)

    def arguments_for(self, channels: int, size: tuple[int, ...] | None = None, **chosen: Any) -> dict[str, Any]:
        """The keyword arguments that a network uses at this width and size; what the caller chose goes first."""
        arguments = dict(chosen)
        if self.groups_for is not None and "groups" not in arguments:
            arguments["groups"] = self.groups_for(channels)
        if self.needs_size(arguments):
            arguments.setdefault("size", size)
        return arguments


def sa_groups(channels: int) -> int:
    """Groups of shuffle attention at a width: the paper's 64 where that leaves two channels or more in each half.

    ResNet-50's narrowest stage (256 channels) has two; narrower maps get fewer groups instead of thinner halves, and a
    width that such groups do not divide the next number that does.

    Raises:
        ValueError: an odd width.
    """
    if channels % 2:
        raise ValueError(f"channels={channels} is odd: shuffle attention splits channels in halves; use an even width")
    return next(g for g in range(max(1, min(64, channels // 4)), 0, -1) if channels % (2 * g) == 0)


def sge_groups(channels: int) -> int:
    """Groups of spatial group-wise enhancement at a width: the released 64 wherever they divide it.

    A narrower map gets groups of four channels or more, as ResNet-50's narrowest stage (256 channels) has them.
    """
    if channels % 64 == 0:
        return 64
    return next(g for g in range(max(1, min(64, channels // 4)), 0, -1) if channels % g == 0)


def _ge_has_a_kernel_as_large_as_the_map(arguments: dict[str, Any]) -> bool:
    return arguments.get("variant", "theta-") != "theta-" and arguments.get("extent", 0) == 0


_BEFORE_ADDITION = "in every residual block, after its last norm and before the shortcut is added"

_ENTRIES = (
    ModuleInfo(
        key="residual_attention",
        name="Residual attention",
        paper="Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang: Residual Attention Network for Image Classification, "
        "CVPR 2017 (arXiv 1704.06904)",
        family="scale",
        placement="between the width-changing residual units of each stage: the module brings its own trunk",
        status="as in the released prototxt files; the best-known PyTorch port adds maps that the paper does not",
        target="attnlib.scale_attention.residual_attention:ResidualAttention",
    ),
    ModuleInfo(
        key="se",
        name="Squeeze-and-Excitation",
        paper="Hu, Shen, Albanie, Sun and Wu: Squeeze-and-Excitation Networks, CVPR 2018 (arXiv 1709.01507)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="does what the paper says; about 10 % more parameters on ResNet-50, next to no multiply-adds",
        target="attnlib.scale_attention.se:SE",
        rule="block-end",
    ),
    ModuleInfo(
        key="ge",
        name="Gather-Excite",
        paper="Hu, Shen, Albanie, Sun and Vedaldi: Gather-Excite, NeurIPS 2018 (arXiv 1810.12348)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="the default has no parameters at all; with parameters and global extent it is tied to one map size",
        target="attnlib.scale_attention.ge:GE",
        rule="block-end",
        needs_size=_ge_has_a_kernel_as_large_as_the_map,
    ),
    ModuleInfo(
        key="bam",
        name="Bottleneck attention (BAM)",
        paper="Park, Woo, Lee and Kweon: BAM: Bottleneck Attention Module, BMVC 2018 (arXiv 1807.06514)",
        family="scale",
        placement="between the stages of a network, after each of the first three",
        status="multiplies its two branches as the released code does; the paper's text adds them (combine='sum')",
        target="attnlib.scale_attention.bam:BAM",
        rule="stage-end",
    ),
    ModuleInfo(
        key="cbam",
        name="Convolutional block attention (CBAM)",
        paper="Woo, Park, Lee and Kweon: CBAM: Convolutional Block Attention Module, ECCV 2018 (arXiv 1807.06521)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="nearly all of its parameters are the channel gate's; the spatial gate has a batch norm that the paper "
        "does not mention",
        target="attnlib.scale_attention.cbam:CBAM",
        rule="block-end",
    ),
    ModuleInfo(
        key="sge",
        name="Spatial group-wise enhancement (SGE)",
        paper="Li, Hu and Yang: Spatial Group-wise Enhance, 2019 (arXiv 1905.09646)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="two parameters a group; starts as a constant gate of 0.731",
        target="attnlib.scale_attention.sge:SGE",
        rule="block-end",
        groups_for=sge_groups,
    ),
    ModuleInfo(
        key="eca",
        name="Efficient channel attention (ECA)",
        paper="Wang, Wu, Zhu, Li, Zuo and Hu: ECA-Net, CVPR 2020 (arXiv 1910.03151)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="the paper's 80 parameters on ResNet-50 are hand-set kernels; its formula gives 86",
        target="attnlib.scale_attention.eca:ECA",
        rule="block-end",
    ),
    ModuleInfo(
        key="iebn",
        name="Instance enhancement batch norm (IEBN)",
        paper="Liang, Huang, Liang and Yang: Instance Enhancement Batch Normalization, AAAI 2020 (arXiv 1908.04008)",
        family="scale",
        placement="in place of every batch norm but those of the shortcuts",
        status="a batch norm whose scale starts at 0.269: compare it with a constant gain",
        target="attnlib.scale_attention.iebn:IEBN",
        rule="norms",
    ),
    ModuleInfo(
        key="triplet",
        name="Triplet attention (TAM)",
        paper="Misra, Nalamada, Arasanipalai and Hou: Rotate to Attend, WACV 2021 (arXiv 2010.03045)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="300 parameters whatever the width; two of its branches slide a kernel over the channels, whose order "
        "has no meaning at the start",
        target="attnlib.scale_attention.triplet:Triplet",
        rule="block-end",
    ),
    ModuleInfo(
        key="nam",
        name="Normalization-based attention",
        paper="Liu, Shao, Teng and Hoffmann: NAM, NeurIPS 2021 workshop (arXiv 2111.12419)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="starts as an almost constant gate of 0.5; compare it with that constant. The spatial part and a "
        "sparsity penalty that acts are in the paper, not in the released code",
        target="attnlib.scale_attention.nam:NAM",
        rule="block-end",
        needs_size=lambda arguments: bool(arguments.get("spatial")),
    ),
    ModuleInfo(
        key="sa",
        name="Shuffle attention",
        paper="Zhang and Yang: SA-Net, ICASSP 2021 (arXiv 2102.00240)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="light as claimed, but 708 parameters on ResNet-50, not 300; starts as a constant gate of 0.731 and "
        "a permutation of the channels",
        target="attnlib.scale_attention.sa:SA",
        rule="block-end",
        groups_for=sa_groups,
    ),
    ModuleInfo(
        key="sem",
        name="Switchable excitation (SEM)",
        paper="Zhong, Wen and Qin: Switchable Self-attention Module, 2022 (arXiv 2209.05680)",
        family="scale",
        placement=_BEFORE_ADDITION,
        status="SE, ECA and IEBN's gate in one product; starts as a gate of about 0.094",
        target="attnlib.scale_attention.sem:SEM",
        rule="block-end",
    ),
    ModuleInfo(
        key="dot_product",
        name="Multi-head self-attention",
        paper="Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin: Attention Is All You Need, "
        "NIPS 2017 (arXiv 1706.03762)",
        family="self",
        placement="a layer of its own; over a map every pixel attends to all pixels",
        status="the operation that the other modules of its family vary; memory grows with the square of the pixels "
        "only where the weights are asked for",
        target="attnlib.self_attention.dot_product:MultiHeadSelfAttention",
        needs_size=lambda arguments: arguments.get("positions") in ("learned", "relative"),
    ),
    ModuleInfo(
        key="non_local",
        name="Non-local block",
        paper="Wang, Girshick, Gupta and He: Non-local Neural Networks, CVPR 2018 (arXiv 1711.07971)",
        family="self",
        placement="between residual blocks of the third and fourth stage, one to ten in a network",
        status="starts as the identity; the released code scales its scores and pools before the projections, the "
        "paper does neither",
        target="attnlib.self_attention.non_local:NonLocal",
        rule="middle-stages",
    ),
    ModuleInfo(
        key="base_oc",
        name="Object context, global (Base-OC)",
        paper="Yuan and Wang: OCNet: Object Context Network for Scene Parsing, 2018 (arXiv 1809.00916)",
        family="self",
        placement="the head of a segmentation network, behind a dilated backbone",
        status="query and key are one transform in the released code, two in the paper; the context starts at zero",
        target="attnlib.self_attention.ocnet:BaseOC",
    ),
    ModuleInfo(
        key="pyramid_oc",
        name="Object context in a pyramid of cells (Pyramid-OC)",
        paper="Yuan and Wang: OCNet: Object Context Network for Scene Parsing, 2018 (arXiv 1809.00916)",
        family="self",
        placement="the head of a segmentation network, behind a dilated backbone",
        status="attention inside 1, 4, 9 and 36 cells, each scale with weights of its own",
        target="attnlib.self_attention.ocnet:PyramidOC",
    ),
    ModuleInfo(
        key="asp_oc",
        name="Object context beside dilated convolutions (ASP-OC)",
        paper="Yuan and Wang: OCNet: Object Context Network for Scene Parsing, 2018 (arXiv 1809.00916)",
        family="self",
        placement="the head of a segmentation network, behind a dilated backbone",
        status="attends on a map pooled to half its size, which the paper's figure does not show",
        target="attnlib.self_attention.ocnet:ASPOC",
    ),
    ModuleInfo(
        key="sagan",
        name="SAGAN's self-attention",
        paper="Zhang, Goodfellow, Metaxas and Odena: Self-Attention Generative Adversarial Networks, ICML 2019 "
        "(arXiv 1805.08318)",
        family="self",
        placement="once in the generator and once in the discriminator, at 32 x 32 or 64 x 64",
        status="starts as the identity; the authors' code pools keys and values, the text does not",
        target="attnlib.self_attention.sagan:SAGAN",
    ),
    ModuleInfo(
        key="sasa",
        name="Stand-alone self-attention (SASA)",
        paper="Ramachandran, Parmar, Vaswani, Bello, Levskaya and Shlens: Stand-Alone Self-Attention in Vision Models, "
        "NeurIPS 2019 (arXiv 1906.05909)",
        family="self",
        placement="in place of every convolution of the residual blocks with a kernel larger than 1",
        status="no official code; the text's grouped projections contradict the printed parameter counts, dense ones "
        "reproduce them. In basic blocks the default replaces two layers a block, which did not train on a tenth of "
        "CIFAR-10; placement='layer3.*.conv2' replaces one, as in the paper's bottlenecks",
        target="attnlib.self_attention.sasa:SASA",
        rule="convolutions",
    ),
    ModuleInfo(
        key="sasa_stem",
        name="Attention stem (SASA)",
        paper="Ramachandran, Parmar, Vaswani, Bello, Levskaya and Shlens: Stand-Alone Self-Attention in Vision Models, "
        "NeurIPS 2019 (arXiv 1906.05909)",
        family="self",
        placement="in place of a network's first convolution and its pooling",
        status="no official code; the number of mixtures is not printed, four fit the printed cost. Takes images: "
        "1,920 parameters at its C = 3",
        target="attnlib.self_attention.sasa_stem:SASAStem",
    ),
    ModuleInfo(
        key="constant",
        name="Constant gate",
        paper="",
        family="control",
        placement=_BEFORE_ADDITION,
        status="not attention: one number for every value, the control that attention has to beat",
        target="attnlib.scale_attention.constant:Constant",
        rule="block-end",
    ),
)

TABLE = {entry.key: entry for entry in _ENTRIES}
