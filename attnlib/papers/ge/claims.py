"""Checks of the claims of Gather-Excite; paper.yml says what each is held against."""

from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, seeded
from attnlib.ledger.measure import Call, Module, Network, added, count_parameters, empty, multiply_adds, parameters
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.ge import GE

VARIANTS = {"theta-minus": "theta-", "theta": "theta", "theta-plus": "theta+"}
EXTENTS = {"E2": 2, "E4": 4, "E8": 8, "global": 0}


def add_gather_biases(block: str, model: nn.Module) -> None:
    """Give the gather kernels of the blocks whose path starts so a bias."""
    for path, module in attention_modules(model).items():
        if path.startswith(block):
            module.gather[0].bias = nn.Parameter(torch.zeros(module.channels))


def drop_excite_biases(model: nn.Module) -> None:
    """Take the biases of all bottlenecks out."""
    for module in attention_modules(model).values():
        for layer in module.excite:
            if isinstance(layer, nn.Conv2d):
                layer.bias = None


def _ge(backbone: str, variant: str, extent: str = "global", **others: Any) -> Network:
    """A network with GE; `others` are those of `Network`."""
    return Network(backbone, "ge", (("variant", VARIANTS[variant]), ("extent", EXTENTS[extent])), **others)


PLAIN = Network("resnet50_v1")
MINUS, THETA, PLUS = (_ge("resnet50_v1", variant) for variant in VARIANTS)


def with_one_stage(stage: str) -> int:
    """Parameters of ResNet-50 with GE-theta in one stage alone."""
    return parameters(PLAIN) + _added_by_stage(THETA)[stage]


def _modules(network: Network) -> dict[str, GE]:
    """The modules of a network, by path; to look at."""
    return attention_modules(empty(network))


@cache
def _added_by_stage(network: Network) -> dict[str, int]:
    """Parameters of the modules; conv2 is torchvision's layer1."""
    by_stage: dict[str, int] = {}
    for path, module in _modules(network).items():
        stage = f"conv{int(path[len('layer')]) + 1}"
        by_stage[stage] = by_stage.get(stage, 0) + count_parameters(module)
    return by_stage


def parameter_free() -> Finding:
    widths = [module.channels for module in _modules(MINUS).values()]
    counts = [parameters(Module(Call(create, "ge", c, extent=e))) for e in EXTENTS.values() for c in widths]
    return Finding(sum(counts), f"{len(widths)} modules with each of the extents {', '.join(EXTENTS)}")


def cheap() -> Finding:
    plain = parameters(PLAIN), multiply_adds(PLAIN)
    shares = {
        variant: [100 * added(network, cost) / of for cost, of in zip((parameters, multiply_adds), plain, strict=True)]
        for variant, network in zip(VARIANTS, (MINUS, THETA, PLUS), strict=True)
    }
    note = "% of the parameters and of the multiply-adds: " + ", ".join(
        f"{variant} {more:.1f} and {work:.2f}" for variant, (more, work) in shares.items()
    )
    return Finding(sum(share > 1 for pair in shares.values() for share in pair), note)


def finer_extents() -> Finding:
    """Otherwise those that add none to the plain network."""
    counts = {v: {e: added(_ge("resnet50_v1", v, e)) for e in EXTENTS} for v in ("theta-minus", "theta")}
    finer = [(count, of["global"]) for of in counts.values() for extent, count in of.items() if extent != "global"]
    listed = {v: ", ".join(f"{extent} {count:,}" for extent, count in of.items()) for v, of in counts.items()}
    note = "added to ResNet-50: " + "; ".join(f"{variant} {text}" for variant, text in listed.items())
    return Finding(sum(count <= whole for count, whole in finer), note, otherwise=sum(count == 0 for count, _ in finer))


def srm_gflops() -> Finding:
    released, printed = (multiply_adds(Network(name)) / 1e9 for name in ("resnet50", "resnet50_v1"))
    return Finding(
        released, f"{released:.4f} in their code, stride in the 3 x 3; {printed:.4f} with it in the first 1 x 1"
    )


def window() -> Finding:
    x = normal(2, 1, 33, 41).requires_grad_()
    gathered = create("ge", 1, extent=8).gather(x)
    gathered[0, 0, 2, 2].backward()
    reached = x.grad[0, 0].nonzero()
    sides = (reached.amax(0) - reached.amin(0) + 1).tolist()
    return Finding(len(reached), f"{sides[0]} x {sides[1]} pixels")


def overlap() -> Finding:
    module, x = create("ge", 16, extent=2), normal(2, 16, 16, 16)
    gates = module.gate(x)
    module.gather = nn.AdaptiveAvgPool2d(8)
    change = largest(module.gate(x) - gates)
    return Finding(float(change > 1e-3), f"gates differ by up to {change:.3f}")


def se_by_mean() -> Finding:
    x, se = normal(2, 16, 9, 7), create("se", 16, reduction=4).double()
    ge = _drawn(16, size=(9, 7), reduction=4)
    _, *bottleneck = ge.excite
    ge.gather = nn.AdaptiveAvgPool2d(1)
    se.reduce, se.expand = bottleneck[0], bottleneck[2]
    as_released = largest(ge(x) - se(x))
    ge.excite = nn.Sequential(*bottleneck)
    as_equation = largest(ge(x) - se(x))
    note = f"{as_released:.1e} with the ReLU of the network file behind the mean, {as_equation:.1e} without it"
    return Finding(as_released, note, otherwise=as_equation)


def _drawn(channels: int, as_released: bool = False, **arguments: Any) -> GE:
    """A GE-theta-plus with PyTorch's initial weights or those of the network file, always the same."""
    with seeded():
        module = create("ge", channels, variant="theta+", **arguments).double()
        if as_released:
            module.network_init_()
        return module


def one_resolution() -> Finding:
    module = create("ge", 16, variant="theta", size=7)
    try:
        module(normal(2, 16, 8, 8).float())
    except ValueError as error:
        return Finding(1, str(error))
    return Finding(0)


def extents_in_order() -> Finding:
    rows = load("ge").rows("extents")
    accuracies = {m: [row["top1_acc"] for row in rows if row["model"] == m] for m in ("GE-theta-minus", "GE-theta")}
    steps = [after - before for column in accuracies.values() for before, after in pairwise(column)]
    note = "; ".join(f"{model} {', '.join(f'{a:.2f}' for a in column)}" for model, column in accuracies.items())
    return Finding(sum(step <= 0 for step in steps), note)
