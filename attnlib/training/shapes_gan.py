"""A conditional GAN of seconds on the outlines of `shapes`, and its judges: what the chapter on SAGAN trains.

Images are 16 x 16, one channel, 1 on the object and -1 on the ground. Generator and discriminator are three
convolutions each, every weight divided by its spectral norm, as in `attnlib.networks.sagan_net`, with one layer in the
middle of both, at 8 x 8 positions: none, SAGAN's attention, or the control, a residual layer with as many parameters
whose positions do not see each other.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from attnlib.base import check_choice
from attnlib.data.files import write_text
from attnlib.data.shapes import CLASSES, generate
from attnlib.networks.sagan_net import ConditionalBatchNorm, discriminator_loss, generator_loss
from attnlib.self_attention.sagan import SAGAN

LAYERS = ("none", "residual", "attention")
SIDE, NOISE, WIDTH, BATCH = 16, 16, 16, 32
# The discriminator learns twice as fast; Adam without memory of the direction, as in the paper.
RATES, BETAS = (2e-3, 4e-3), (0.0, 0.99)
FOLLOWED = 0.02  # of the way to the generator, which the averaged one goes with each step
WEIGHTS = Path(__file__).with_name("shapes_gan.json")


def outlines(count: int, seed: int) -> tuple[Float[Tensor, "N 1 16 16"], Int[Tensor, " N"]]:
    """Masks of `attnlib.data.shapes`, halved by means of 2 x 2 and from -1 to 1, and their classes."""
    _, labels, masks = generate(count, seed)
    return 2 * F.avg_pool2d(torch.tensor(masks)[:, None].float(), 2) - 1, torch.tensor(labels)


class Residual(nn.Module):
    """x + gamma W_2 relu(W_1 x) at each position alone: the attention's parameters, 1.25 C^2 + 1, without its look."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 5 * channels // 8
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.expand = nn.Conv2d(hidden, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x + self.gamma * self.expand(torch.relu(self.reduce(x)))


class ShapesGenerator(nn.Module):
    """Noise (N, 16) and classes (N,) to images (N, 1, 16, 16) in [-1, 1]; `middle` is the layer at 8 x 8."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.linear = nn.Linear(NOISE, 2 * WIDTH * 4 * 4)
        self.norms = nn.ModuleList(ConditionalBatchNorm(c, len(CLASSES)) for c in (2 * WIDTH, WIDTH, WIDTH))
        for each in self.norms:
            each.norm.momentum = 0.1  # a run has hundreds of steps here, not a million
        self.conv1 = nn.Conv2d(2 * WIDTH, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv3 = nn.Conv2d(WIDTH, 1, 3, padding=1)
        _normalise(self)
        self.middle = _layer(layer)

    def forward(self, z: Float[Tensor, "N noise"], labels: Int[Tensor, " N"]) -> Float[Tensor, "N 1 16 16"]:
        x = self.linear(z).unflatten(1, (-1, 4, 4))
        x = self.conv1(F.interpolate(torch.relu(self.norms[0](x, labels)), scale_factor=2.0))
        x = self.middle(x)
        x = self.conv2(F.interpolate(torch.relu(self.norms[1](x, labels)), scale_factor=2.0))
        return torch.tanh(self.conv3(torch.relu(self.norms[2](x, labels))))


class ShapesDiscriminator(nn.Module):
    """Images and classes to scores (N,), f(x) . (v + e_y) + b; `middle` is the layer at 8 x 8."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTH, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(2 * WIDTH, 4 * WIDTH, 4)
        self.linear = nn.Linear(4 * WIDTH, 1)
        self.embedding = nn.Embedding(len(CLASSES), 4 * WIDTH)
        _normalise(self)
        self.middle = _layer(layer)

    def forward(self, x: Float[Tensor, "N 1 16 16"], labels: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        x = self.middle(F.leaky_relu(self.conv1(x), 0.1))
        x = F.leaky_relu(self.conv3(F.leaky_relu(self.conv2(x), 0.1)), 0.1).flatten(1)
        return self.linear(x)[:, 0] + (x * self.embedding(labels)).sum(1)


def _layer(name: str) -> nn.Module:
    """The layer in the middle; it is drawn last, so that under one seed all else is the same."""
    check_choice("layer", name, LAYERS)
    if name == "none":
        return nn.Identity()
    layer = SAGAN(WIDTH) if name == "attention" else Residual(WIDTH)
    return _normalise(layer)


def _normalise(network: nn.Module) -> nn.Module:
    """Xavier weights, zero biases, and each weight divided by its spectral norm."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.xavier_uniform_(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)
            spectral_norm(layer)
    return network


def play(
    layer: str,
    images: Float[Tensor, "N 1 16 16"],
    labels: Int[Tensor, " N"],
    steps: int,
    seed: int = 0,
    watch: Callable[[int, ShapesGenerator, ShapesDiscriminator], Any] | None = None,
) -> tuple[ShapesGenerator, ShapesDiscriminator]:
    """Train generator and discriminator, one step of each in turn, by the hinge loss.

    Args:
        layer: in the middle of both, one of `LAYERS`.
        images, labels: the real ones.
        steps: so many of each.
        seed: of the weights, the noise and the order of the images; it is the same for every layer.
        watch: called behind each step with its number, the averaged generator and the discriminator.

    Returns:
        The generator whose weights are the running average over the steps, in evaluation mode, and the discriminator.

    Raises:
        ValueError: an unknown layer, or fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    torch.manual_seed(seed)
    generator, averaged = ShapesGenerator(layer), ShapesGenerator(layer).eval().requires_grad_(False)
    torch.manual_seed(seed)
    discriminator = ShapesDiscriminator(layer)
    averaged.load_state_dict(generator.state_dict())
    optimizers = [
        torch.optim.Adam(network.parameters(), rate, BETAS, fused=True)
        for network, rate in zip((generator, discriminator), RATES, strict=True)
    ]
    draw = torch.Generator().manual_seed(seed)
    mine = [parameter.detach() for parameter in generator.parameters()]
    for step in range(1, steps + 1):
        real = torch.randint(len(images), (BATCH,), generator=draw)
        asked = torch.randint(len(CLASSES), (BATCH,), generator=draw)
        fake = generator(torch.randn(BATCH, NOISE, generator=draw), asked)
        scores = discriminator(torch.cat([images[real], fake.detach()]), torch.cat([labels[real], asked]))
        _step(optimizers[1], discriminator_loss(*scores.chunk(2)))
        discriminator.requires_grad_(False)
        _step(optimizers[0], generator_loss(discriminator(fake, asked)))
        discriminator.requires_grad_(True)
        torch._foreach_lerp_(list(averaged.parameters()), mine, FOLLOWED)
        for average, buffer in zip(averaged.buffers(), generator.buffers(), strict=True):
            average.copy_(buffer)
        if watch is not None:
            watch(step, averaged, discriminator)
    return averaged, discriminator


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# ---- judges ----


def asked_for(count: int, seed: int = 0) -> tuple[Float[Tensor, "N noise"], Int[Tensor, " N"]]:
    """Noise, and classes in turn, to judge generators by: the same for all."""
    return torch.randn(count, NOISE, generator=torch.Generator().manual_seed(seed)), torch.arange(count) % len(CLASSES)


def classifier() -> nn.Sequential:
    """Two convolutions and two linear layers; what stands before the last is the 32 features of an image."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, len(CLASSES)),
    )


def frechet_distance(a: Float[Tensor, "N D"], b: Float[Tensor, "M D"]) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), of the means and covariances of two sets of features."""
    a, b = a.double(), b.double()
    of_a, of_b = torch.cov(a.T), torch.cov(b.T)
    # The eigenvalues of a product of two covariances are real and not negative, but for rounding.
    root = torch.linalg.eigvals(of_a @ of_b).real.clamp_min(0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + of_a.trace() + of_b.trace() - 2 * root).item()


class Jury:
    """What judges generators: a classifier, and its features of real images that it has not seen.

    >>> jury = Jury(recorded()["classifier"])
    >>> jury(recorded()["attention"])  # agreement in per cent, distance
    """

    def __init__(self, network: nn.Sequential, count: int = 2000) -> None:
        self.network, self.features = network, network[:-1]
        self.noise, self.asked = asked_for(count)
        self.real = self.features(outlines(count, seed=3)[0])

    @torch.no_grad()
    def hits(self, generator: ShapesGenerator) -> Bool[Tensor, " N"]:
        """Which images the classifier takes for the class asked for."""
        return self.network(generator(self.noise, self.asked)).argmax(1) == self.asked

    @torch.no_grad()
    def distance(self, generator: ShapesGenerator) -> float:
        """From real images."""
        return frechet_distance(self.features(generator(self.noise, self.asked)), self.real)

    def __call__(self, generator: ShapesGenerator) -> tuple[float, float]:
        """Agreement in per cent, and distance."""
        return 100 * self.hits(generator).double().mean().item(), self.distance(generator)


@torch.no_grad()
def looks(
    generator: ShapesGenerator, z: Float[Tensor, "N noise"], labels: Int[Tensor, " N"]
) -> tuple[Float[Tensor, "N 1 16 16"], Float[Tensor, "N 64 16"]]:
    """Images, and the weights of the generator's attention while it made them: 64 queries, 16 pooled keys."""
    weights: list[Tensor] = []
    hook = generator.middle.register_forward_pre_hook(lambda layer, args: weights.append(layer.weights(args[0])[:, 0]))
    try:
        return generator(z, labels), weights[0]
    finally:
        hook.remove()


@contextmanager
def middle_changed(
    generator: ShapesGenerator, change: Callable[[Float[Tensor, "N Q K"]], Float[Tensor, "N Q K"]] | None
) -> Iterator[None]:
    """While the block runs, the generator's middle layer has changed weights, or adds nothing where change is None."""

    def exchange(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        (x,) = args
        if change is None:
            return x
        values = F.max_pool2d(layer.value(x), 2).flatten(2).mT
        y = change(layer.weights(x)[:, 0]) @ values
        return x + layer.gamma * layer.out(y.mT.unflatten(2, x.shape[2:]))

    hook = generator.middle.register_forward_hook(exchange)
    try:
        yield
    finally:
        hook.remove()


# ---- weights of recorded runs ----


def save_weights(states: dict[str, dict[str, Tensor]], path: Path = WEIGHTS) -> None:
    """Write the states of networks in half precision as JSON, whole or not at all."""
    written = {
        name: {key: [[*value.shape], _text(value)] for key, value in state.items()} for name, state in states.items()
    }
    write_text(path, json.dumps(written, indent=1) + "\n")


def recorded(path: Path = WEIGHTS) -> dict[str, nn.Module]:
    """The generators of seed 0 by their layers and the classifier, as `benchmarks.shapes_gan` left them.

    Raises:
        FileNotFoundError: nothing was recorded there.
    """
    networks: dict[str, nn.Module] = {}
    for name, entries in json.loads(path.read_text(encoding="utf-8")).items():
        network = classifier() if name == "classifier" else ShapesGenerator(name)
        state = {key: _tensor(*entry).to(network.state_dict()[key].dtype) for key, entry in entries.items()}
        network.load_state_dict(state)
        networks[name] = network.eval().requires_grad_(False)
    return networks


def _text(value: Tensor) -> str:
    return base64.b64encode(value.numpy().astype("<f2").tobytes()).decode()


def _tensor(shape: list[int], text: str) -> Tensor:
    return torch.tensor(np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)).reshape(shape)
