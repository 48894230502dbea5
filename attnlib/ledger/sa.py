"""Checks of the claims of shuffle attention; attnlib/published/sa.yml says what each is held against."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.measure import Network, gated_values, multiply_adds, operations, parameters, work
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.published import load
from attnlib.scale_attention.sa import SA, shuffle_channels


def network_of(table: str, row: dict[str, Any], column: str) -> Network | tuple[Network, Network] | str:
    """The network that a printed cost belongs to (a pair: their difference), or why it is not recomputed."""
    name, method = row.get("backbone") or row["model"], row.get("method", "SA")
    backbone = "resnet" + name.removeprefix("ResNet-").removeprefix("sa_resnet")
    attention = {"baseline": "none", "SE": "se", "SA": "sa"}.get(method)
    if attention is None:
        return f"{method} is not among the modules of attnlib"
    if column in ("extra_params", "extra_gflops", "module_parameters"):
        return Network(backbone, attention), Network(backbone)
    return Network(backbone, attention)


def _added(backbone: str) -> int:
    return parameters(Network(backbone, "sa")) - parameters(Network(backbone))


def parameters_resnet50() -> Finding:
    modules = attention_modules(Network("resnet50", "sa").build_empty()).values()
    by_name: dict[str, int] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            by_name[name] = by_name.get(name, 0) + parameter.numel()
    norm = by_name["norm_weight"] + by_name["norm_bias"]
    sums = {sum(some) for n in range(7) for some in combinations(by_name.values(), n)}
    note = (
        f"{_added('resnet50') - norm} in the four vectors, {norm} in the group norm; of all sums of "
        f"some of these six kinds the nearest to 300 is {min(sums, key=lambda total: abs(total - 300))}"
    )
    return Finding(_added("resnet50"), note)


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
    return Finding(total / 1e6, note, otherwise=total // 1000 / 1000)


def parameters_share() -> Finding:
    plain = parameters(Network("resnet50"))
    return Finding(100 * _added("resnet50") / plain, f"{_added('resnet50')} of {plain:,}")


def gflops_resnet50() -> Finding:
    return _half_of_the_values("resnet50")


def gflops_resnet101() -> Finding:
    finding = _half_of_the_values("resnet101")
    se = operations(Network("resnet101", "se"), "layers") - operations(Network("resnet101"), "layers")
    printed = {row["method"]: row["extra_gflops"] for row in load("sa").rows("table-1-differences")[1:]}
    excess = {"SA": printed["SA"] - finding.measured, "SE": printed["SE"] - se / 1e9}
    note = ", ".join(f"{method} {value:.2e}" for method, value in excess.items())
    return replace(finding, note=f"{finding.note}; what is printed for ResNet-101 lies above this rule: {note}")


def _half_of_the_values(backbone: str) -> Finding:
    values = gated_values(backbone)
    return Finding(values / 2 / 1e9, f"half of the {values:,} values that the blocks of {backbone} put out")


def gflops_all_work() -> Finding:
    counts, plain = (work(network)["elementwise"] for network in (Network("resnet50", "sa"), Network("resnet50")))
    added = {name: count - plain.get(name, 0) for name, count in counts.items()}
    parts = sorted(added.items(), key=lambda part: -part[1])
    note = "one operation for each value: " + ", ".join(f"{name} {count / 1e9:.2e}" for name, count in parts[:4])
    return Finding(sum(added.values()) / 1e9, note)


def gflops_baseline_resnet50() -> Finding:
    return _baseline("resnet50")


def gflops_baseline_resnet101() -> Finding:
    return _baseline("resnet101")


def _baseline(backbone: str) -> Finding:
    by_layers, macs = operations(Network(backbone), "layers"), multiply_adds(Network(backbone))
    note = f"{by_layers / 1e9:.4f} with batch norms, ReLUs and pooling layers counted, {macs / 1e9:.4f} multiply-adds"
    return Finding(macs / 1e9, note, otherwise=by_layers / 1e9)


def _normal(channels: int, side: int) -> Tensor:
    """Two maps of normally distributed values, always the same."""
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _random_sa() -> SA:
    """An SA of 4 groups for 32 channels with all its parameters random."""
    module, generator = create("sa", 32, groups=4).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def initial_output() -> Finding:
    x = _normal(256, 9)
    expected = shuffle_channels(x) * torch.sigmoid(torch.ones((), dtype=x.dtype))
    return Finding((create("sa", 256).double()(x) - expected).abs().max().item())


def first_step() -> Finding:
    module = _after_a_backward_pass()
    return Finding(max(module.norm_weight.grad.abs().max().item(), module.norm_bias.grad.abs().max().item()))


def second_step() -> Finding:
    module = _after_a_backward_pass()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    module.zero_grad()
    _back_propagate(module)
    largest = max(module.norm_weight.grad.abs().max().item(), module.norm_bias.grad.abs().max().item())
    return Finding(float(largest > 0), f"the largest is {largest:.1e}")


def _after_a_backward_pass() -> SA:
    module = create("sa", 32, groups=4).double()
    _back_propagate(module)
    return module


def _back_propagate(module: nn.Module) -> None:
    (module(_normal(32, 9)) * _normal(32, 9).cos()).sum().backward()


def shuffle_order() -> Finding:
    channels = 12
    order = shuffle_channels(torch.arange(float(channels)).view(1, channels, 1, 1)).flatten().tolist()
    expected = [start + i for i in range(channels // 2) for start in (0, channels // 2)]
    return Finding(
        sum(a != b for a, b in zip(order, expected, strict=True)),
        f"{channels} channels become {', '.join(f'{c:.0f}' for c in order)}",
    )


def instance_norm() -> Finding:
    module, x = _random_sa(), _normal(32, 9)
    halves = x.view(2 * 4, 2, 4, 9, 9)  # images and groups, half, channels of the half
    normed = F.instance_norm(halves[:, 1], weight=module.norm_weight, bias=module.norm_bias)
    spatial = module.spatial_weight.view(-1, 1, 1) * normed + module.spatial_bias.view(-1, 1, 1)
    gate = module.gate(x).view_as(halves)[:, 1]
    return Finding((gate - torch.sigmoid(spatial)).abs().max().item())


def redundant_affine() -> Finding:
    module, folded, x = _random_sa(), _random_sa(), _normal(32, 9)
    with torch.no_grad():
        folded.spatial_bias += folded.spatial_weight * folded.norm_bias
        folded.spatial_weight *= folded.norm_weight
        folded.norm_weight.fill_(1)
        folded.norm_bias.fill_(0)
    return Finding((module(x) - folded(x)).abs().max().item())


def shared_by_groups() -> Finding:
    excess = 0
    for channels in (256, 512, 1024, 2048):
        excess += sum(p.numel() for p in create("sa", channels).parameters()) - 3 * channels // 64
    return Finding(excess)


def narrow_maps() -> Finding:
    try:
        create("sa", 64)
    except ValueError as error:
        return Finding(1, str(error))
    return Finding(0)


def gain_resnet50() -> Finding:
    return _gain("ResNet-50")


def gain_resnet101() -> Finding:
    return _gain("ResNet-101")


def _top1(backbone: str, method: str) -> float:
    rows = load("sa").rows("table-1")
    return next(row["top1"] for row in rows if (row["backbone"], row["method"]) == (backbone, method))


def _gain(backbone: str) -> Finding:
    with_sa, plain = _top1(backbone, "SA"), _top1(backbone, "baseline")
    return Finding(with_sa - plain, f"{with_sa} - {plain}")


def released_weights() -> Finding:
    released = next(row["top1"] for row in load("sa").rows("readme") if row["model"] == "sa_resnet50")
    return Finding(released, f"{released - _top1('ResNet-50', 'SA'):+.3f} points")
