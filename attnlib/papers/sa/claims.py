"""Checks of the claims of shuffle attention; paper.yml says what each is held against."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import back_propagate, largest, normal, random_parameters, step
from attnlib.ledger.measure import (
    Network,
    added,
    added_elementwise,
    count_parameters,
    empty,
    gated_values,
    multiply_adds,
    parameters,
    work,
)
from attnlib.ledger.printed import difference, row_of
from attnlib.ledger.profilers import by_layers
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.sa import SA, shuffle_channels

MAPS = (2, 32, 9, 9)
ATTENTION = {"baseline": "none", "SE": "se", "CBAM": "cbam", "SGE": "sge", "ECA": "eca", "SA": "sa"}


def network_of(table: str, row: dict[str, Any], column: str) -> Network | tuple[Network, Network] | int:
    """The network that a printed cost belongs to (a pair: their difference), or the count itself."""
    name, method = row.get("backbone") or row["model"], row.get("method", "SA")
    backbone = "resnet" + name.removeprefix("ResNet-").removeprefix("sa_resnet")
    network = Network(backbone, ATTENTION[method])
    if column in ("extra_params", "extra_gflops", "module_parameters"):
        return network, Network(backbone)
    if column == "gflops":
        return by_layers(network)
    return network


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


def parameters_four_vectors() -> Finding:
    modules = attention_modules(empty(Network("resnet50", "sa"))).values()
    norms = sum(module.norm_weight.numel() + module.norm_bias.numel() for module in modules)
    return Finding(_added("resnet50") - norms, f"{_added('resnet50')} less {norms} of the group norm")


def parameters_resnet101() -> Finding:
    return Finding(_added("resnet101") / 1e6, f"{_added('resnet101'):,}")


def total_resnet50() -> Finding:
    return _total("resnet50")


def total_resnet101() -> Finding:
    return _total("resnet101")


def _total(backbone: str) -> Finding:
    total = parameters(Network(backbone, "sa"))
    note = (
        f"{total:,}, rounded {total / 1e6:.3f}, cut off {total // 1000 / 1000:.3f}; "
        f"without SA {parameters(Network(backbone)):,}"
    )
    return Finding(total / 1e6, note, total // 1000 / 1000, rule="cut off", table="table-1")


def parameters_share() -> Finding:
    plain = parameters(Network("resnet50"))
    return Finding(100 * _added("resnet50") / plain, f"{_added('resnet50')} of {plain:,}")


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


def gflops_baseline_resnet50() -> Finding:
    return _baseline("resnet50")


def gflops_baseline_resnet101() -> Finding:
    return _baseline("resnet101")


def _baseline(backbone: str) -> Finding:
    layers, macs = by_layers(Network(backbone)), multiply_adds(Network(backbone))
    note = f"{layers / 1e9:.4f} with batch norms, ReLUs and pooling layers counted, {macs / 1e9:.4f} multiply-adds"
    return Finding(macs / 1e9, note, layers / 1e9, rule="layer by layer", table="table-1")


def _random_sa() -> SA:
    """An SA of 4 groups for 32 channels with all its parameters random."""
    return random_parameters(create("sa", 32, groups=4))


def initial_output() -> Finding:
    x = normal(2, 256, 9, 9)
    expected = shuffle_channels(x) * torch.sigmoid(torch.ones((), dtype=x.dtype))
    return Finding(largest(create("sa", 256).double()(x) - expected))


def first_step() -> Finding:
    return Finding(_gradient_of_norm(_after_a_backward_pass()))


def second_step() -> Finding:
    module = _after_a_backward_pass()
    step(module)
    back_propagate(module, normal(*MAPS))
    gradient = _gradient_of_norm(module)
    return Finding(float(gradient > 0), f"the largest is {gradient:.1e}")


def _gradient_of_norm(module: SA) -> float:
    """The largest gradient of the group norm's scale and shift."""
    return max(largest(module.norm_weight.grad), largest(module.norm_bias.grad))


def _after_a_backward_pass() -> SA:
    module = create("sa", 32, groups=4).double()
    back_propagate(module, normal(*MAPS))
    return module


def shuffle_order() -> Finding:
    channels = 12
    order = shuffle_channels(torch.arange(float(channels)).view(1, channels, 1, 1)).flatten().tolist()
    expected = [start + i for i in range(channels // 2) for start in (0, channels // 2)]
    return Finding(
        sum(a != b for a, b in zip(order, expected, strict=True)),
        f"{channels} channels become {', '.join(f'{c:.0f}' for c in order)}",
    )


def instance_norm() -> Finding:
    module, x = _random_sa(), normal(*MAPS)
    halves = x.view(2 * 4, 2, 4, 9, 9)  # images and groups, half, channels of the half
    normed = F.instance_norm(halves[:, 1], weight=module.norm_weight, bias=module.norm_bias)
    spatial = module.spatial_weight.view(-1, 1, 1) * normed + module.spatial_bias.view(-1, 1, 1)
    gate = module.gate(x).view_as(halves)[:, 1]
    return Finding(largest(gate - torch.sigmoid(spatial)))


def redundant_affine() -> Finding:
    module, folded, x = _random_sa(), _random_sa(), normal(*MAPS)
    with torch.no_grad():
        folded.spatial_bias += folded.spatial_weight * folded.norm_bias
        folded.spatial_weight *= folded.norm_weight
        folded.norm_weight.fill_(1)
        folded.norm_bias.fill_(0)
    return Finding(largest(module(x) - folded(x)))


def shared_by_groups() -> Finding:
    excess = 0
    for channels in (256, 512, 1024, 2048):
        excess += count_parameters(create("sa", channels)) - 3 * channels // 64
    return Finding(excess)


def shuffle_groups() -> Finding:
    channels, groups = 32, 4
    numbers = torch.arange(channels).div(channels // groups, rounding_mode="floor")
    shuffled = shuffle_channels(numbers.view(1, channels, 1, 1)).flatten().tolist()
    pairs = [(k, k + groups // 2) for k in range(groups // 2) for _ in range(channels // groups)]
    expected = [group for pair in pairs for group in pair]
    return Finding(
        sum(a != b for a, b in zip(shuffled, expected, strict=True)), f"{groups} groups of {channels} channels"
    )


def groups_as_one() -> Finding:
    module, x = _random_sa(), normal(*MAPS)
    single = create("sa", 32, groups=1).double()
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            parameter.copy_(module.get_parameter(name).repeat(4))
    halves_first = _halves(torch.arange(32.0).view(1, 32, 1, 1)).transpose(1, 2).flatten().long()
    note = f"{count_parameters(module)} parameters of 4 groups repeat to {count_parameters(single)}"
    return Finding(largest(module.gate(x)[:, halves_first] - single.gate(x[:, halves_first])), note)


def own_spatial_maps() -> Finding:
    module = _random_sa()
    with torch.no_grad():  # equal scales and shifts: what differs then is the map
        for name in ("spatial_weight", "norm_weight"):
            getattr(module, name).fill_(1)
        for name in ("spatial_bias", "norm_bias"):
            getattr(module, name).zero_()
    spatial = _halves(module.gate(normal(*MAPS)))[:, :, 1]
    change = min(largest(spatial[:, :, i] - spatial[:, :, j]) for i, j in combinations(range(spatial.shape[2]), 2))
    return Finding(float(change > 1e-3), f"any two channels of one group differ by {change:.3f} or more")


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


def grouped_se() -> Finding:
    x, small = normal(*MAPS), random_parameters(create("se", 8, reduction=4))
    large = create("se", 32, reduction=4).double()
    with torch.no_grad():
        for ours, theirs in ((large.reduce, small.reduce), (large.expand, small.expand)):
            ours.weight.copy_(torch.block_diag(*4 * [theirs.weight[..., 0, 0]])[..., None, None])
            ours.bias.copy_(theirs.bias.repeat(4))
    return Finding(largest(large.gate(x) - small.gate(x.view(8, 8, 9, 9)).view(2, 32, 1, 1)))


def channel_half_iebn() -> Finding:
    module, x, iebn = _random_sa(), normal(*MAPS), create("iebn", 16).double()
    with torch.no_grad():
        iebn.gate_scale.copy_(module.channel_weight.repeat(4))
        iebn.gate_shift.copy_(module.channel_bias.repeat(4))
    return Finding(_off_by(module, iebn, x, half=0))


def channel_half_se() -> Finding:
    module, x, se = _random_sa(), normal(*MAPS), create("se", 16, reduction=1).double()
    with torch.no_grad():
        se.reduce.weight.copy_(torch.eye(16)[..., None, None])
        se.reduce.bias.zero_()
        se.expand.weight.copy_(module.channel_weight.repeat(4).diag()[..., None, None])
        se.expand.bias.copy_(module.channel_bias.repeat(4))
    note = f"where means are negative too, by up to {_off_by(module, se, x, half=0):.2f}"
    return Finding(_off_by(module, se, x.abs(), half=0), note)


def spatial_half_sge() -> Finding:
    module, x, sge = _random_sa(), normal(*MAPS), create("sge", 16, groups=16, unbiased=False).double()
    with torch.no_grad():
        # The group norm's own scale and shift go into those that follow it.
        sge.weight.copy_((module.spatial_weight * module.norm_weight).repeat(4))
        sge.bias.copy_((module.spatial_weight * module.norm_bias + module.spatial_bias).repeat(4))
    # On large values the small number that each keeps from dividing by zero has no weight.
    otherwise = _off_by(module, sge, 1e4 * x, half=1)
    note = f"where means are negative too, by up to {otherwise:.2f}: there SGE's standardised map has the other sign"
    return Finding(_off_by(module, sge, 1e4 * (x + 3), half=1), note)


def _off_by(module: SA, other: nn.Module, x: Tensor, half: int) -> float:
    """The largest difference between SA's gates in one half and those that `other` gives to that half's channels."""
    ours, inputs = (_halves(tensor)[:, :, half].flatten(1, 2) for tensor in (module.gate(x), x))
    return largest(ours - other.gate(inputs))


def narrow_maps() -> Finding:
    return Finding(float(bool(_refusal(64))), _refusal(64))


def _refusal(channels: int) -> str:
    """Why SA does not take so many channels in the paper's 64 groups; empty where it does."""
    try:
        create("sa", channels)
    except ValueError as error:
        return str(error)
    return ""


def uneven_halves() -> Finding:
    groups, channels = 64, 192
    first, second = torch.empty(1, channels // groups, 1, 1).chunk(2, dim=1)
    note = (
        f"{first.shape[1]} and {second.shape[1]} channels, and vectors of {channels // (2 * groups)} for each; SA here "
        f"{'refuses' if _refusal(channels) else 'takes'} such a map"
    )
    return Finding(first.shape[1], note)


def gain_resnet50() -> Finding:
    return _gain("ResNet-50", "SA")


def gain_resnet101() -> Finding:
    return _gain("ResNet-101", "SA")


def gain_se_resnet101() -> Finding:
    return _gain("ResNet-101", "SE")


def _top1(backbone: str, method: str) -> float:
    return row_of("sa", "table-1", backbone=backbone, method=method)["top1"]


def _gain(backbone: str, method: str) -> Finding:
    return difference(_top1(backbone, method), _top1(backbone, "baseline"))


def released_weights() -> Finding:
    return _released("ResNet-50")


def released_weights_resnet101() -> Finding:
    return _released("ResNet-101")


def _released(backbone: str) -> Finding:
    name = f"sa_{backbone.replace('-', '').lower()}"
    released = row_of("sa", "readme", model=name)["top1"]
    return Finding(released, f"{released - _top1(backbone, 'SA'):+.3f} points")
