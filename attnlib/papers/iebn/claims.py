"""Checks of the claims of IEBN; paper.yml says what each is held against."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.draw import largest, normal, random_parameters
from attnlib.ledger.measure import Network, added, empty, parameters
from attnlib.ledger.verdict import Finding
from attnlib.networks import attention_modules
from attnlib.scale_attention.iebn import IEBN

PLAIN = Network("resnet164", classes=100)
REPLACED = Network("resnet164", "iebn", classes=100)


def parameters_resnet164() -> Finding:
    return _added(REPLACED)


def _added(network: Network) -> Finding:
    return Finding(added(network), f"{parameters(network):,} and {parameters(PLAIN):,}")


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


def scaled_batch_norm() -> Finding:
    differences = []
    for mode in (True, False):
        module = _iebn(mode)
        norm = _batch_norm(module, _start())
        differences.append(largest(module(_maps()) - norm(_maps())))
    return Finding(max(differences))


def own_image() -> Finding:
    module, x = _random_iebn(), _maps()
    mates = torch.cat([x[:1], 5 * _maps(seed=4)[1:]])
    gates, outputs = (largest(f(x)[0] - f(mates)[0]) for f in (module.gate, module))
    return Finding(gates, f"with other images beside it, the output changes by up to {outputs:.2f}")


def evaluation() -> Finding:
    module, x = _random_iebn(mode=False), _maps()
    changed = x.clone()
    changed[:, :, 0, 0] += 10
    return _only_ours_changes(module, lambda f: (f(changed) - f(x))[:, :, 1:])


def _only_ours_changes(module: IEBN, change: Callable[[nn.Module], Tensor]) -> Finding:
    ours, theirs = (largest(change(f)) for f in (module, _batch_norm(module)))
    note = f"IEBN's output changes by up to {ours:.2f}, a batch norm's by {theirs:.0e}"
    return Finding(float(ours > 1e-3 and theirs < 1e-9), note)
