"""Checks of the claims of shuffle attention; paper.yml says what each is held against."""

from dataclasses import replace
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import (
    Network,
    added,
    added_elementwise,
    empty,
    gated_values,
    multiply_adds,
    parameters,
    work,
)
from attnlib.ledger.profilers import by_layers
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.sa import SA

MAPS = (2, 32, 9, 9)
ATTENTION = {"baseline": "none", "SE": "se", "CBAM": "cbam", "SGE": "sge", "ECA": "eca", "SA": "sa"}


def _added(backbone: str) -> int:
    return added(Network(backbone, "sa"))


def parameters_resnet50() -> Finding:
    modules = attention_modules(empty(Network("resnet50", "sa"))).values()
    by_name: dict[str, int] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            by_name[name] = by_name.get(name, 0) + parameter.numel()
    norm = by_name["norm_weight"] + by_name["norm_bias"]
    sums = {sum(some) for n in range(7) for some in combinations(by_name.values(), n)}
    plain = parameters(Network("resnet50"))
    note = (
        f"{_added('resnet50') - norm} in the four vectors, {norm} in the group norm; of all sums of "
        f"some of these six kinds the nearest to 300 is {min(sums, key=lambda total: abs(total - 300))}; with the "
        f"group norm alone the total is {(plain + norm) / 1e6:.4f} million, without SA it is {plain / 1e6:.4f}"
    )
    return Finding(_added("resnet50"), note)


def parameters_resnet101() -> Finding:
    return Finding(_added("resnet101") / 1e6, f"{_added('resnet101'):,}")


def gflops_resnet50() -> Finding:
    return _half_of_the_values("resnet50")


def gflops_resnet101() -> Finding:
    finding = _half_of_the_values("resnet101")
    se = added(Network("resnet101", "se"), by_layers)
    printed = {row["method"]: row["extra_gflops"] for row in load("sa").rows("table-1-differences")[1:]}
    excess = {"SA": printed["SA"] - finding.measured, "SE": printed["SE"] - se / 1e9}
    note = ", ".join(f"{method} {value:.2e}" for method, value in excess.items())
    return replace(finding, note=f"{finding.note}; what is printed for ResNet-101 lies above this rule: {note}")


def _half_of_the_values(backbone: str) -> Finding:
    values = gated_values(backbone)
    return Finding(values / 2 / 1e9, f"half of the {values:,} values that the blocks of {backbone} put out")


def gflops_all_work() -> Finding:
    counts = added_elementwise(Network("resnet50", "sa"))
    most = [f"{name} {count / 1e9:.2e}" for name, count in list(counts.items())[:4]]
    return Finding(sum(counts.values()) / 1e9, f"one operation for each value: {', '.join(most)}")


def fewest_operations() -> Finding:
    """The place of SA among the modules of Table 1, from the fewest operations on."""
    methods = [method for method in ATTENTION if method != "baseline"]
    everything = {method: _all_operations(ATTENTION[method]) - _all_operations("none") for method in methods}
    layers = {method: by_layers(Network("resnet50", ATTENTION[method])) for method in methods}
    order = sorted(methods, key=everything.get)
    place = 1 + sorted(methods, key=layers.get).index("SA")
    products = {method: added(Network("resnet50", ATTENTION[method]), multiply_adds) for method in ("SA", "SGE")}
    note = (
        "every operation of our forms counted: "
        + ", ".join(f"{method} {everything[method] / 1e6:.1f} million" for method in order)
        + f"; SA's place by the rule of Table 1, layer by layer: {place}; multiply-adds alone: SA {products['SA']}, "
        f"SGE {products['SGE']}"
    )
    return Finding(1 + order.index("SA"), note, otherwise=place)


def _all_operations(attention: str) -> int:
    counts = work(Network("resnet50", attention))
    return sum(counts["macs"].values()) + sum(counts["elementwise"].values())


def _random_sa() -> SA:
    """An SA of 4 groups for 32 channels with all its parameters random."""
    return random_parameters(create("sa", 32, groups=4))


def redundant_affine() -> Finding:
    module, folded, x = _random_sa(), _random_sa(), normal(*MAPS)
    with torch.no_grad():
        folded.spatial_bias += folded.spatial_weight * folded.norm_bias
        folded.spatial_weight *= folded.norm_weight
        folded.norm_weight.fill_(1)
        folded.norm_bias.fill_(0)
    return Finding(largest(module(x) - folded(x)))


def _halves(x: Tensor) -> Tensor:
    """The map of `_random_sa` as images, groups, half, channels of the half, height, width."""
    return x.unflatten(1, (4, 2, -1))


def grouped_cat() -> Finding:
    module, x = _random_sa(), normal(*MAPS)
    channel, spatial = _halves(x).unbind(2)
    vector = {name: parameter.view(-1, 1, 1) for name, parameter in module.named_parameters()}
    mean = channel.mean((3, 4), keepdim=True)
    channel = channel * torch.sigmoid(vector["channel_weight"] * mean + vector["channel_bias"])
    normed = F.group_norm(spatial.flatten(0, 1), spatial.shape[2], module.norm_weight, module.norm_bias)
    normed = normed.view_as(spatial)
    spatial = spatial * torch.sigmoid(vector["spatial_weight"] * normed + vector["spatial_bias"])
    concatenated = torch.cat([channel, spatial], 2).flatten(1, 2)
    shuffled = largest(module(x) - concatenated)
    module.shuffle = False
    plain = largest(module(x) - concatenated)
    note = f"the outputs differ by up to {shuffled:.2f}; by {plain:.0e} with the channel part first and no shuffle"
    return Finding(shuffled, note, otherwise=plain)


def sge_as_grouped_se() -> Finding:
    sge, x = random_parameters(create("sge", 32, groups=4)), normal(*MAPS)
    grouped = random_parameters(create("se", 8, reduction=4)).gate(x.view(8, 8, 9, 9))
    maps = sge.gate(x).unflatten(1, (4, -1))
    over_pixels, over_channels = _spread(maps, (3, 4)), _spread(maps, (2,))
    note = (
        f"SGE's gate spans {over_pixels:.2f} over the pixels of a map and {over_channels:.0f} over the channels of a "
        f"group; that of SE in each group spans {_spread(grouped, (2, 3)):.0f} and {_spread(grouped, (1,)):.2f}"
    )
    return Finding(over_pixels, note)


def _spread(gate: Tensor, axes: tuple[int, ...]) -> float:
    return (gate.amax(axes) - gate.amin(axes)).max().item()
