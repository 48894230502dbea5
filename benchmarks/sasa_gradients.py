"""How the gradient grows on its way back through SASA layers before any training, and through which part of them.

    python -m benchmarks.sasa_gradients     ResNet-20 with none, three and six SASA layers in its last stage: a minute

Networks, batches and weights are those of the recipe `cifar10-slice` before its first step. The layers looked at are
the two 3 x 3 convolutions of each block of the last stage, or the SASA layers in their place. In a table's row:

    deviation   of what the layer gives, over images and pixels: what the batch norm behind it divides by
    gain        |gradient of the loss to the layer's input| / |to its output|
    gradient    |gradient of the loss to its output|; of the layer conv1, the network's first, to its weights
    value, key, query   what each of the three paths through a SASA layer adds to its gain, by the derivation below

The derivation. In a head of width d let p be a window's shares, v its values, y = sum p v, g the gradient to y. Then

    to a value p g,    to a key p ((v - y) . g) q,    to the query sum p ((v - y) . g) (k + r) = Cov_p(v, k + r)^T g

A projection from N(0, 2 / C_out) multiplies the square of a gradient by 2 C_in / C_out. For a g without direction, and
different at each pixel, the square of the gain is therefore 2 C_in / C_out times the sum of

    value: sum p^2      key: sum p^2 |v - y|^2 |q|^2 / d      query: |Cov_p(v, k + r)|^2 / d

averaged over windows. The value's path shrinks the gradient as the averages shrink the deviation, and the norm behind
makes up for both. Key and query add to it in proportion to the values, keys and queries themselves: nothing divides by
those.
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.self_attention.local import window_shares, windows
from attnlib.self_attention.sasa import SASA
from attnlib.training import Recipe
from attnlib.training.devices import processes_with
from attnlib.training.run import Run
from benchmarks.measure import TABLES, header, save

# How many of a basic block's two 3 x 3 convolutions SASA stands for.
PLACEMENTS = {0: None, 1: "layer3.*.conv2", 2: "layer3.*.conv?"}
LAYERS = [f"layer3.{block}.conv{number}" for block in range(3) for number in (1, 2)]


def _cut_off(layer: nn.Module) -> None:
    layer.register_forward_hook(lambda *call: call[-1].detach())


def _values_alone(sasa: SASA) -> None:
    _cut_off(sasa.query)
    _cut_off(sasa.key)
    sasa.row.requires_grad_(False)
    sasa.column.requires_grad_(False)


def _shares_alone(sasa: SASA) -> None:
    _cut_off(sasa.value)


def _scaled(sasa: SASA) -> None:
    sasa.query.weight.data /= (sasa.out_channels / sasa.heads) ** 0.5


def _equal_shares(sasa: SASA) -> None:
    sasa.query.weight.data.zero_()


def _no_positions(sasa: SASA) -> None:
    sasa.row.data.zero_()
    sasa.column.data.zero_()


# What is done to each SASA layer. The first three compute the same forward, bit for bit.
FORMS: dict[str, Callable[[SASA], None]] = {
    "as it is": lambda _: None,
    "gradient through values alone": _values_alone,
    "gradient through shares alone": _shares_alone,
    "logits / sqrt(d)": _scaled,
    "logits = 0": _equal_shares,
    "relative positions = 0": _no_positions,
}


def start(recipe: Recipe, replaced: int, form: str = "as it is") -> Run:
    """A run before its first step, with SASA for none, one or both 3 x 3 convolutions of the last stage's blocks."""
    placement = PLACEMENTS[replaced]
    changed = {"attention": "sasa" if placement else "none", "placement": placement}
    run = Run(recipe.model_copy(update=changed), processes_with(recipe.precision, "cpu", 1))
    for layer in run.model.modules():
        if isinstance(layer, SASA):
            FORMS[form](layer)
    return run


def gradients(run: Run, batches: int) -> dict[str, dict[str, float]]:
    """Deviation, gain and gradient of each of LAYERS; and the gradient of the first convolution's weights, by its name.

    Means over the first `batches` batches of an epoch.
    """
    model, found, hooks = run.model.train(), {}, []

    def note(path: str, entry: str, value: Tensor) -> None:
        found.setdefault(path, {}).setdefault(entry, []).append(value.item())

    for path in LAYERS:

        def forward(layer: nn.Module, args: Any, y: Tensor, path: str = path) -> None:
            note(path, "deviation", y.detach().var((0, 2, 3)).mean().sqrt())

        def backward(layer: nn.Module, to_input: Any, to_output: Any, path: str = path) -> None:
            note(path, "gain", to_input[0].norm() / to_output[0].norm())
            note(path, "gradient", to_output[0].norm())

        layer = model.get_submodule(path)
        hooks += [layer.register_forward_hook(forward), layer.register_full_backward_hook(backward)]
    for batch in range(batches):
        inputs, labels = run.batches.part(0, batch, 0)
        model.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        note("conv1", "gradient", model.conv1.weight.grad.norm())
    for hook in hooks:
        hook.remove()
    return {path: {name: statistics.mean(values) for name, values in each.items()} for path, each in found.items()}


@torch.no_grad()
def paths(sasa: SASA, x: Float[Tensor, "N C H W"]) -> dict[str, float]:
    """What value, key and query path add to the gain of a layer with padded borders, before its stride."""
    q, k, v = (layer(x).unflatten(1, (sasa.heads, -1)) for layer in (sasa.query, sasa.key, sasa.value))
    p = window_shares(q, k, sasa.row, sasa.column, sasa.kernel_size, sasa.border)
    inside = windows(torch.ones_like(v[:1, :1, :1]), sasa.kernel_size)[0, 0, 0]
    size = (-1, -1, sasa.kernel_size, sasa.kernel_size)
    r = torch.cat([sasa.row[..., :, None].expand(size), sasa.column[..., None, :].expand(size)], 1).flatten(2)
    value = windows(v, sasa.kernel_size)
    centred = value - torch.einsum("nhqw,nhcqw->nhcq", p, value)[..., None]
    covariance = torch.einsum("nhqw,nhcqw,nhdqw->nhqcd", p, centred, windows(k, sasa.kernel_size) + r[:, :, None])
    width, squares = v.shape[2], q.flatten(3).square().sum(2)
    squared = {
        "value": (p.square() * inside).sum(-1).mean(),
        "key": ((p.square() * inside * centred.square().sum(2)).sum(-1) * squares).mean() / width,
        "query": covariance.square().sum((-1, -2)).mean() / width,
    }
    projection = 2 * sasa.channels / sasa.out_channels
    return {name: (projection * square).sqrt().item() for name, square in squared.items()}


def derived(run: Run) -> dict[str, dict[str, float]]:
    """`paths` of the SASA layers among LAYERS, on the first batch."""
    found, hooks = {}, []
    for path in LAYERS:
        layer = getattr(run.model.get_submodule(path), "attention", None)
        if layer is not None:

            def forward(sasa: SASA, args: tuple[Tensor], _: Tensor, path: str = path) -> None:
                found[path] = paths(sasa, args[0])

            hooks.append(layer.register_forward_hook(forward))
    with torch.no_grad():
        run.model.train()(run.batches.part(0, 0, 0)[0])
    for hook in hooks:
        hook.remove()
    return found


def rows(recipe: Recipe, batches: int, seeds: int) -> list[dict[str, Any]]:
    found = []
    for seed in range(seeds):
        chosen = recipe.model_copy(update={"seed": seed})
        for replaced in PLACEMENTS:
            for form in FORMS if replaced else ["as it is"]:
                by_path = derived(start(chosen, replaced)) if form == "as it is" else {}
                for path, figures in gradients(start(chosen, replaced, form), batches).items():
                    entries = figures | by_path.get(path, {})
                    found.append(
                        {"seed": seed, "replaced": replaced, "form": form, "layer": path}
                        | {
                            name: float(f"{entries[name]:.4g}") if name in entries else None
                            for name in ("deviation", "gain", "gradient", "value", "key", "query")
                        }
                    )
    return found


def main(
    batches: Annotated[int, typer.Option(min=1, help="Averaged over.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Networks, from seed 0 on.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = TABLES,
) -> None:
    """Measure, and write `sasa-gradients.json`."""
    recipe = Recipe.named("cifar10-slice")
    settings = {"recipe": recipe.name, "batches": batches, "batch_size": recipe.batch_size}
    table = header(torch.device("cpu"), settings) | {"rows": rows(recipe, batches, seeds)}
    save(out / "sasa-gradients.json", table)
    print(out / "sasa-gradients.json")


if __name__ == "__main__":
    typer.run(main)
