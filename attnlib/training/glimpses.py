"""How a network learns where to look: by backpropagation where it can, by REINFORCE where it draws the place."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from attnlib.data.scenes import scenes
from attnlib.networks.glimpses import CELL, GRID, WINDOW, GlimpseNetwork

Pictures = tuple[Float[Tensor, "N 3 H W"], Int[Tensor, " N"], Int[Tensor, " N"], Float[Tensor, "N objects 2"]]


def pictures(count: int, seed: int) -> Pictures:
    """Scenes with two objects of one class, for who looks for either of them.

    Returns:
        pictures: values from -1 to 1.
        classes: 0 to 3.
        best: the place whose middle is nearest to that of an object.
        centres: row and column of the middle of each object, in pixels.
    """
    images, labels, objects = scenes(count, seed, same_class=True)
    centres = np.stack([middles(objects == number) for number in (1, 2)], 1)
    i, j = np.divmod(np.arange(GRID**2), GRID)
    places = CELL * np.stack([i, j], 1) + (WINDOW - 1) / 2
    apart = np.linalg.norm(centres[:, :, None] - places, axis=3)
    return (
        torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1,
        torch.from_numpy(labels).flatten(1).amax(1) - 1,
        torch.from_numpy(apart.min(1).argmin(1)),
        torch.from_numpy(centres).float(),
    )


def middles(masks: np.ndarray) -> np.ndarray:
    """Mean row and column of each mask."""
    area, pixel = masks.sum((1, 2)), np.arange(masks.shape[1])
    return np.stack([(masks.sum(2) @ pixel) / area, (masks.sum(1) @ pixel) / area], 1)


def train_glimpses(
    way: str, data: Pictures, steps: int, seed: int = 0, learning_rate: float = 3e-3, exact: bool = False
) -> GlimpseNetwork:
    """A network from scratch, in evaluation mode; its random numbers all come from `seed`.

    Args:
        way: to the place of the glimpse, see `GlimpseNetwork`.
        data: to train on, from `pictures`.
        steps: batches of 64 pictures.
        seed: of weights, batches and places.
        learning_rate: its highest value.
        exact: whether "hard" learns the place from the gradient itself, for which it looks at all places of every
            picture, in place of its estimate from the one that was drawn.

    Raises:
        UnknownNameError: no such way.
        ValueError: `steps` is below 1, or `exact` is asked for another way than "hard".
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if exact and way != "hard":
        raise ValueError(f'exact is for the way "hard", which alone estimates a gradient; got the way "{way}"')
    torch.manual_seed(seed)
    network = GlimpseNetwork(way).train()
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
    images, classes, best, _ = data
    baseline = 0.25  # a guess among four classes
    for _ in range(steps):
        batch = torch.randint(len(images), (64,))
        logits, scores, place = network(images[batch], best[batch])
        loss = F.cross_entropy(logits, classes[batch])
        if exact:
            reward = rewards(network, images[batch], classes[batch])
            loss = loss - (scores.softmax(1) * reward).sum(1).mean()
        elif way == "hard":
            reward = (logits.argmax(1) == classes[batch]).float()
            loss = loss + reinforce(scores, place, reward - baseline)
            baseline = 0.9 * baseline + 0.1 * reward.mean().item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def reinforce(
    scores: Float[Tensor, "N places"], place: Int[Tensor, " N"], advantage: Float[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Minus the mean of (R - b) log p(place): its gradient is, in the mean, that of minus the mean reward.

    Args:
        scores: logits of the places.
        place: the one that was drawn from their softmax.
        advantage: the reward above the baseline, R - b.
    """
    log_p = scores.log_softmax(1).gather(1, place[:, None])[:, 0]
    return -(advantage * log_p).mean()


@torch.no_grad()
def rewards(
    network: GlimpseNetwork, images: Float[Tensor, "N 3 H W"], classes: Int[Tensor, " N"]
) -> Float[Tensor, "N places"]:
    """Of looking at each place: 1 where the picture is then named rightly, else 0."""
    return (network.everywhere(images).argmax(2) == classes[:, None]).float()


def noise(network: GlimpseNetwork, data: Pictures, batches: int = 8, draws: int = 25) -> float:
    """How much larger the noise of REINFORCE is than the gradient that it estimates.

    Both are root mean squares over batches of 64 pictures, of the gradient of the mean reward by the weights that make
    the scores; the noise is that of one draw a picture, with the mean reward as baseline.

    Args:
        network: of the way "hard".
        data: from `pictures`, 64 for each batch.
        batches: the first of `data`.
        draws: estimates for each batch.

    Raises:
        ValueError: `data` has too few pictures.
    """
    images, classes, _, _ = data
    if len(images) < 64 * batches:
        raise ValueError(f"{batches} batches need {64 * batches} pictures, got {len(images)}; ask for fewer batches")
    torch.manual_seed(10**6)
    weights = list(network.where.parameters())
    signal, around = [], []
    for batch in torch.arange(64 * batches).split(64):
        scores = network.scores(images[batch])
        p, reward = scores.softmax(1), rewards(network, images[batch], classes[batch])
        mean = (p * reward).sum(1).mean()

        def gradient(loss: Float[Tensor, ""]) -> Float[Tensor, " weights"]:
            return torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights, retain_graph=True)])

        exact = gradient(-mean)
        signal.append(exact.square().sum())
        for _ in range(draws):
            place = torch.multinomial(p.detach(), 1)
            advantage = reward.gather(1, place)[:, 0] - mean.detach()
            around.append((gradient(reinforce(scores, place[:, 0], advantage)) - exact).square().sum())
    return (torch.stack(around).mean() / torch.stack(signal).mean()).sqrt().item()


@torch.no_grad()
def judged(network: GlimpseNetwork, data: Pictures) -> dict[str, float]:
    """The share of pictures a trained network names rightly, and how many pixels from the nearer object it looks."""
    torch.manual_seed(10**6)
    images, classes, best, centres = data
    logits, scores, place = network(images, best)
    found = {"accuracy": (logits.argmax(1) == classes).double().mean().item()}
    place = scores.argmax(1) if network.way == "soft" else place
    if place is not None:
        middle = CELL * torch.stack([place // GRID, place % GRID], 1) + (WINDOW - 1) / 2
        found["pixels_off"] = (centres - middle[:, None]).norm(dim=2).amin(1).median().item()
    return found
