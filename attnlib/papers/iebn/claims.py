"""Checks of the claims of IEBN; paper.yml says what each is held against."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import back_propagate, largest, normal, random_parameters, step
from attnlib.ledger.measure import Network, added, empty, parameters
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.networks.placement import RULES
from attnlib.scale_attention.iebn import IEBN

PLAIN = Network("resnet164", classes=100)
REPLACED = Network("resnet164", "iebn", classes=100)
WITH_SE = Network("resnet164", "se", classes=100)


def network_of(table: str, row: dict[str, Any], column: str) -> Network | tuple[Network, Network]:
    """The network that a printed cost belongs to; a pair for what a module adds."""
    classes = 10 if row["dataset"] == "CIFAR-10" else 100
    attention = {"BN": "none", "IEBN": "iebn", "SE": "se"}[row["method"]]
    network = Network("resnet164", attention, classes=classes)
    return (network, Network("resnet164", classes=classes)) if column == "module_parameters" else network


def parameters_resnet164() -> Finding:
    return _added(REPLACED)


def parameters_se() -> Finding:
    return _added(WITH_SE)


def _added(network: Network) -> Finding:
    return Finding(added(network), f"{parameters(network):,} and {parameters(PLAIN):,}")


def parameters_share() -> Finding:
    return _share(REPLACED)


def parameters_se_share() -> Finding:
    return _share(WITH_SE)


def _share(network: Network) -> Finding:
    return Finding(100 * (parameters(network) / parameters(PLAIN) - 1), f"of {parameters(PLAIN):,}")


def two_per_channel() -> Finding:
    norms = RULES["norms"].find(empty(PLAIN))
    channels = sum(norm.num_features for norm in norms.values())
    return Finding(added(REPLACED) - 2 * channels, f"{channels:,} channels")


def layers_resnet164() -> Finding:
    replaced = len(attention_modules(empty(REPLACED)))
    norms = [module for module in empty(PLAIN).modules() if isinstance(module, nn.BatchNorm2d)]
    return Finding(replaced, f"{replaced} of {len(norms)} batch norms; the others are in the shortcuts")


def _maps(seed: int = 0) -> Tensor:
    """Four maps of 16 channels, each of which has its own mean and deviation."""
    levels, widths = normal(16, 1, 1, seed=seed + 100), torch.linspace(0.5, 2, 16, dtype=torch.float64).view(-1, 1, 1)
    return widths * normal(4, 16, 9, 7, seed=seed) + levels


def _iebn(mode: bool = True) -> IEBN:
    """An untrained IEBN for 16 channels, in train or eval mode, its running statistics not those of the start."""
    module = create("iebn", 16).double()
    module(_maps(seed=1))
    return module.train(mode)


def _random_iebn(mode: bool = True) -> IEBN:
    """The same with random parameters and running statistics."""
    return random_parameters(_iebn(mode), seed=2)


def _batch_norm(module: IEBN, scale: Tensor | float = 1.0) -> nn.BatchNorm2d:
    """A batch norm with the statistics of an IEBN, its weight times `scale`."""
    norm = nn.BatchNorm2d(16).double()
    norm.load_state_dict(module.norm.state_dict())
    with torch.no_grad():
        norm.weight *= scale
    return norm.train(module.training)


def _start() -> Tensor:
    """sigmoid(-1)."""
    return torch.sigmoid(torch.tensor(-1.0, dtype=torch.float64))


def initial_gate() -> Finding:
    gate = _iebn().gate(_maps())
    return Finding(gate.mean().item(), f"from {gate.min():.6f} to {gate.max():.6f}")


def constant_gate() -> Finding:
    gates = torch.cat([_iebn().gate(factor * _maps()) for factor in (-100, 0, 1, 100)])
    return Finding((gates.max() - gates.min()).item(), f"{gates.numel()} gates")


def scaled_batch_norm() -> Finding:
    differences = []
    for mode in (True, False):
        module = _iebn(mode)
        norm = _batch_norm(module, _start())
        differences.append(largest(module(_maps()) - norm(_maps())))
    return Finding(max(differences))


def scaled_gradient() -> Finding:
    module = _iebn()
    ours, theirs = _input_gradient(module), _input_gradient(_batch_norm(module, _start()))
    return Finding(largest(ours - theirs), f"the largest gradient is {theirs.abs().max():.2f}")


def _input_gradient(module: nn.Module) -> Tensor:
    x = _maps().requires_grad_()
    back_propagate(module, x)
    return x.grad


def first_step() -> Finding:
    module = _iebn()
    back_propagate(module, _maps())
    step(module)
    gates = module.gate(_maps()).detach()
    spread = (gates.amax(0) - gates.amin(0)).max().item()
    return Finding(float(spread > 1e-3), f"gates of one channel differ by up to {spread:.3f}")


def own_image() -> Finding:
    module, x = _random_iebn(), _maps()
    mates = torch.cat([x[:1], 5 * _maps(seed=4)[1:]])
    gates, outputs = (largest(f(x)[0] - f(mates)[0]) for f in (module.gate, module))
    return Finding(gates, f"with other images beside it, the output changes by up to {outputs:.2f}")


def raw_mean() -> Finding:
    module, x = _random_iebn(), _maps()
    return _only_ours_changes(module, lambda f: f(x + 3) - f(x))


def evaluation() -> Finding:
    module, x = _random_iebn(mode=False), _maps()
    changed = x.clone()
    changed[:, :, 0, 0] += 10
    return _only_ours_changes(module, lambda f: (f(changed) - f(x))[:, :, 1:])


def _only_ours_changes(module: IEBN, change: Callable[[nn.Module], Tensor]) -> Finding:
    ours, theirs = (largest(change(f)) for f in (module, _batch_norm(module)))
    note = f"IEBN's output changes by up to {ours:.2f}, a batch norm's by {theirs:.0e}"
    return Finding(float(ours > 1e-3 and theirs < 1e-9), note)


def shift_not_gated() -> Finding:
    module, x = _random_iebn(), _maps()
    with_bias, bias = module(x), module.norm.bias.detach().clone()
    nn.init.zeros_(module.norm.bias)
    return Finding(largest(with_bias - module(x) - bias.view(-1, 1, 1)))


def running_statistics() -> Finding:
    module = _random_iebn()
    norm = _batch_norm(module)
    module(_maps()), norm(_maps())
    pairs = ((module.norm.running_mean, norm.running_mean), (module.norm.running_var, norm.running_var))
    return Finding(max(largest(ours - theirs) for ours, theirs in pairs))


def weight_decay() -> Finding:
    module = _iebn()
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4).step()
    return Finding(module.gate_shift.max().item())
