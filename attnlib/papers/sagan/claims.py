"""Checks of the claims of SAGAN; paper.yml says what each is held against."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from attnlib import create
from attnlib.ledger.draw import back_propagate, largest, normal, seeded
from attnlib.ledger.measure import Call, Module, Network, empty, parameters
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.networks.sagan_net import Discriminator, Generator
from attnlib.self_attention.sagan import FORMS, SAGAN

MAPS = (2, 16, 8, 6)
WIDTHS = (64, 128, 256, 512)


def _as_in_the_replica(model: nn.Module) -> None:
    """Give the attention biases, and the discriminator's last block the shortcut that the replica never runs."""
    for layer in (model.attention.query, model.attention.key, model.attention.value, model.attention.out):
        layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
    if isinstance(model, Discriminator):
        channels = model.blocks[-1].conv2.out_channels
        model.blocks[-1].shortcut = nn.Conv2d(channels, channels, 1)


def _without_output(channels: int, bias: bool) -> nn.Module:
    """What the layer of the first arXiv version is made of: queries and keys of C / 8 channels, values of C, gamma."""
    layers = nn.Sequential(*(nn.Conv2d(channels, width, 1, bias=bias) for width in (channels // 8,) * 2 + (channels,)))
    layers.gamma = nn.Parameter(torch.zeros(()))
    return layers


OURS = {name: Network(f"sagan_{name}") for name in ("generator", "discriminator")}
REPLICA = {name: Network(f"sagan_{name}", change=_as_in_the_replica) for name in OURS}


def _layer(channels: int, form: str = "released") -> Module:
    return Module(Call(create, "sagan", channels, form=form))


def _first_version(channels: int, bias: bool = False) -> Module:
    return Module(Call(_without_output, channels, bias))


def network_of(table: str, row: dict[str, Any], column: str) -> Network | Module:
    """What a printed cost belongs to."""
    if table == "replica-parameters":
        return REPLICA[row["model"]]
    if column == "port":
        return _first_version(row["channels"], bias=True)
    return _layer(row["channels"], column)


def parameters_released() -> Finding:
    note = f"{parameters(_layer(256)):,} as released, {parameters(_layer(256, 'text')):,} in the text's form"
    return Finding(parameters(_layer(256)), note)


def first_version() -> Finding:
    return Finding(max(abs(parameters(_layer(width)) - parameters(_first_version(width))) for width in WIDTHS))


def discriminator_parameters() -> Finding:
    return _total("discriminator")


def _total(name: str) -> Finding:
    ours, replica = parameters(OURS[name]), parameters(REPLICA[name])
    note = f"{ours:,}; {replica:,} with what the replica adds, biases of the attention and an unused shortcut"
    return Finding(ours / 1e6, note, otherwise=replica / 1e6)


def _scores(side: int, form: str, channels: int = 64) -> int:
    """How many attention weights a map of this side has."""
    layer = empty(_layer(channels, form))
    return layer.weights(torch.zeros(1, channels, side, side, device="meta")).numel()


def score_map_width() -> Finding:
    narrow, wide = _scores(64, "text", 64), _scores(64, "text", 512)
    full = 3 * 128 * 64**2
    note = (
        f"{narrow:,} weights at 64 x 64; an eighth in place of the full width saves {7 * full // 8:,} of the {full:,} "
        "numbers in queries, keys and values of 128 channels"
    )
    return Finding(wide - narrow, note)


def _initialised(form: str) -> SAGAN:
    """A layer for 16 channels as the authors initialise it."""
    with seeded():
        module = create("sagan", 16, form=form).double()
        module.network_init_()
    return module


@cache
def _small_networks() -> tuple[Generator, Discriminator]:
    """Both networks for small images and an eighth of the width, as initialised."""
    arguments = {"classes": 3, "image_size": 32, "attention_at": 16, "width": 8}
    with seeded():
        return Generator(**arguments).double(), Discriminator(**arguments).double()


@cache
def _first_gradients() -> tuple[float, float]:
    """The largest gradient of the convolutions, and the smaller one of gamma in both forms."""
    of_convolutions, of_gamma = [], []
    for form in FORMS:
        module = _initialised(form)
        back_propagate(module, normal(*MAPS))
        for name, parameter in module.named_parameters():
            (of_gamma if name == "gamma" else of_convolutions).append(largest(parameter.grad))
    return max(of_convolutions), min(of_gamma)


def first_step() -> Finding:
    return Finding(_first_gradients()[0])


def _weighted(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]


def normalised_layers() -> Finding:
    layers = [layer for network in _small_networks() for layer in _weighted(network)]
    return Finding(sum(not is_parametrized(layer, "weight") for layer in layers), f"of {len(layers)} layers")


def _largest_singular_value(weight: Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()


def _power_iteration(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    v = F.normalize(matrix.T @ u, dim=0)
    return F.normalize(matrix @ v, dim=0), v


def _weight_and_vector() -> tuple[Tensor, Tensor]:
    """A matrix, and a unit vector that a power iteration may start from."""
    return normal(16, 24), F.normalize(normal(16).cos(), dim=0)


def spectral_estimate() -> Finding:
    matrix, u = _weight_and_vector()
    norms = []
    for _ in range(100):
        u, v = _power_iteration(matrix, u)
        norms.append(_largest_singular_value(matrix / (u @ matrix @ v)))
    note = f"{norms[0]:.3f} behind the first iteration, {norms[9]:.4f} behind ten, {norms[-1]:.6f} behind a hundred"
    return Finding(max(0.0, 1 - min(norms)), note)


def spectral_gradient_early() -> Finding:
    share = _gradient_difference(iterations=0)
    return Finding(float(share > 0.01), f"they differ by {100 * share:.0f} % of their norm")


def _gradient_difference(iterations: int) -> float:
    """How far the gradient that flows through u and v lies from the one that does not, behind so many iterations."""
    matrix, u = _weight_and_vector()
    for _ in range(iterations):
        u, _ = _power_iteration(matrix, u)
    gradients = []
    for flows in (True, False):
        weight = matrix.clone().requires_grad_()
        left, right = _power_iteration(weight if flows else weight.detach(), u)
        (weight / (left @ weight @ right) * normal(16, 24).cos()).sum().backward()
        gradients.append(weight.grad)
    through, around = gradients
    return ((through - around).norm() / around.norm()).item()


def _scores_of(model: str) -> dict[int, tuple[float, float]]:
    """(FID, Inception score) in Table 1 by the side of the map."""
    rows = load("sagan").rows("table-1")
    return {row["feature_map"]: (row["fid"], row["inception_score"]) for row in rows if row["model"] == model}


def best_fid() -> Finding:
    fids = {side: fid for side, (fid, _) in _scores_of("SAGAN").items()}
    best = min(fids, key=fids.__getitem__)
    return Finding(fids[best], f"{fids[best]} with attention at {best}; {fids[64]} belongs to 64")


def large_maps() -> Finding:
    scores = _scores_of("SAGAN")
    pairs = [(scores[large], scores[small]) for large in (32, 64) for small in (8, 16)]
    return Finding(sum(not _better(large, small) for large, small in pairs))


def residual_blocks() -> Finding:
    attention, block = _scores_of("SAGAN"), _scores_of("residual block")
    losses = {side: block[side][0] - attention[side][0] for side in attention}
    note = "FID higher by " + ", ".join(f"{loss:.2f} at {side}" for side, loss in losses.items())
    return Finding(sum(not _better(attention[side], block[side]) for side in attention), note)


def _better(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] < b[0] and a[1] > b[1]
