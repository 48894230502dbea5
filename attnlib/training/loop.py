"""The training loop: `train(recipe)`."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn

from attnlib import networks
from attnlib.data import channel_statistics, load
from attnlib.data.files import writable_folder
from attnlib.training.batches import DeviceImages, Normalisation, epoch_batches, split
from attnlib.training.provenance import provenance
from attnlib.training.recipe import Recipe
from attnlib.training.record import Epoch, Final, Record
from attnlib.training.schedule import learning_rate

Progress = Callable[[int, int, list[Epoch]], None]
DEVICES = ("auto", "cpu", "cuda", "mps")
_EVALUATION_BATCH = 500


class TrainingFailedError(RuntimeError):
    """The loss is no longer a number; `record` holds the epochs before."""

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C while training; `record` holds the epochs before."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record


@dataclass(frozen=True)
class Trained:
    """A trained network, in evaluation mode, with the record of its run."""

    record: Record
    model: nn.Module

    def inputs(self, images: UInt8[np.ndarray, "N H W 3"]) -> Float[Tensor, "N 3 H W"]:
        """Images as this network takes them: normalised, channels at axis 1, on its device."""
        device = next(self.model.parameters()).device
        return Normalisation(self.record.mean, self.record.std)(torch.tensor(images, device=device))

    def predict(self, images: UInt8[np.ndarray, "N H W 3"]) -> Float[Tensor, "N classes"]:
        """The scores of each class before the softmax, on the CPU."""
        with torch.no_grad():
            parts = [self.model(self.inputs(part)).cpu() for part in _parts(images)]
        return torch.cat(parts)


def train(
    recipe: Recipe,
    out: str | Path | None = None,
    progress: Progress | None = None,
    device: str = "auto",
    root: str | Path | None = None,
) -> Trained:
    """Train by `recipe` and give back the network with its record.

    Args:
        recipe: what to do; see `Recipe`.
        out: folder for `record.json`, written when the run ends, however it ends; one of an earlier run is removed
            when training begins. Default: nothing is written.
        progress: called after every step and every epoch with the steps done, the steps in all, the completed epochs.
        device: "auto" takes the GPU where there is one; else "cpu", "cuda" or "mps".
        root: folder that holds the data sets, see `attnlib.data.load`.

    Raises:
        UnknownNameError, MissingDataError, DamagedDataError, ValueError, OSError: before anything is trained.
        TrainingFailedError: the loss is no longer finite; the record says "failed".
        TrainingInterrupted: Ctrl-C (a KeyboardInterrupt); the record says "interrupted".
        Any other error while training, e.g. torch's own when memory runs out: the record says "failed" and why.
    """
    if out is not None:
        out = writable_folder(out, fix="choose another output folder")
    start = time.perf_counter()
    fabric = _fabric(device, recipe)
    train_data = load(recipe.data, "train", root, verify=True)
    test_data = load(recipe.data, "test", root, verify=True)
    chosen, held_out = split(train_data, recipe.train_images, hold_out=recipe.protocol == "clean")
    model = _build(recipe, classes=len(train_data.classes), image_size=train_data.images.shape[1])
    normalise = Normalisation(*channel_statistics(train_data.images[chosen]))

    if out is not None:  # the arguments are good: from here on, what lies in `out` is this run's
        (out / "record.json").unlink(missing_ok=True)
    training = DeviceImages.select(train_data, chosen, fabric.device)
    validation = DeviceImages.select(train_data, held_out, fabric.device)
    test = DeviceImages.select(test_data, np.arange(len(test_data)), fabric.device)
    optimiser = torch.optim.SGD(
        _parameter_groups(model, recipe), recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
    )
    wrapped, optimiser = fabric.setup(model, optimiser)
    order, augmentation = _generators(recipe.seed)
    steps_per_epoch = -(-len(training) // recipe.batch_size)
    steps = recipe.epochs * steps_per_epoch
    epochs: list[Epoch] = []

    def record(status: str, final: Final | None = None, error: str | None = None) -> Record:
        spent = sum(epoch.seconds for epoch in epochs)
        made = Record(
            recipe=recipe,
            protocol=recipe.protocol,
            seed=recipe.seed,
            status=status,
            parameters=sum(p.numel() for p in model.parameters()),
            attached=Counter(" ".join(repr(module).split()) for module in networks.attention_modules(model).values()),
            train_images=len(training),
            validation_images=len(validation),
            mean=normalise.mean,
            std=normalise.std,
            epochs=epochs,
            final=final,
            error=error,
            provenance=provenance(
                fabric.device, time.perf_counter() - start, len(epochs) * len(training) / spent if spent else None
            ),
        )
        if out is not None:
            made.save(out / "record.json")
        return made

    def train_epoch(epoch: int) -> Epoch:
        began = time.perf_counter()
        wrapped.train()
        total_loss = torch.zeros((), device=fabric.device)
        correct = torch.zeros((), device=fabric.device)
        augment = recipe.augmentation == "crop-flip"
        batches = epoch_batches(training, recipe.batch_size, augment, order, augmentation)
        for batch, (images, labels) in enumerate(batches):
            step = epoch * steps_per_epoch + batch
            rate = learning_rate(recipe, step, steps_per_epoch)
            for group in optimiser.param_groups:
                group["lr"] = rate
            scores = wrapped(normalise(images))
            loss = F.cross_entropy(scores, labels)
            if recipe.sparsity:
                loss = loss + _sparsity_penalty(model, recipe.sparsity)
            optimiser.zero_grad()
            fabric.backward(loss)
            optimiser.step()
            total_loss += loss.detach() * len(labels)
            correct += (scores.argmax(1) == labels).sum()
            if progress is not None:
                progress(step + 1, steps, epochs)
        return Epoch(
            epoch=epoch + 1,
            learning_rate=rate,
            train_loss=total_loss.item() / len(training),
            train_accuracy=correct.item() / len(training),
            seconds=round(time.perf_counter() - began, 3),
        )

    try:
        for number in range(recipe.epochs):
            epoch = train_epoch(number)
            if not np.isfinite(epoch.train_loss):
                message = (
                    f"the training loss became {epoch.train_loss} in epoch {epoch.epoch} at a learning rate of "
                    f"{recipe.learning_rate}; try a smaller one"
                )
                raise TrainingFailedError(message, record("failed", error=message))
            if recipe.protocol == "clean":
                epoch.validation_accuracy = accuracy(wrapped, validation, normalise)
            else:
                epoch.test_accuracy = accuracy(wrapped, test, normalise)
            epochs.append(epoch)
            if progress is not None:
                progress(epoch.epoch * steps_per_epoch, steps, epochs)
        read = accuracy(wrapped, test, normalise) if recipe.protocol == "clean" else epochs[-1].test_accuracy
    except KeyboardInterrupt:
        raise TrainingInterrupted(record("interrupted")) from None
    except TrainingFailedError:  # its record is written
        raise
    except Exception as error:
        record("failed", error=f"{type(error).__name__}: {error}")
        raise
    return Trained(record("finished", final=Final(accuracy=read, test_images=len(test))), model.eval())


def accuracy(model: nn.Module, data: DeviceImages, normalise: Normalisation) -> float:
    """The share of images whose highest score is their label's, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        correct = sum(
            (model(normalise(images)).argmax(1) == labels).sum()
            for images, labels in zip(_parts(data.images), _parts(data.labels), strict=True)
        )
    return int(correct) / len(data)


def _parts(values):
    return (values[i : i + _EVALUATION_BATCH] for i in range(0, len(values), _EVALUATION_BATCH))


def _fabric(device: str, recipe: Recipe) -> Fabric:
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    try:
        fabric = Fabric(accelerator=device, devices=1, precision=recipe.precision)
    except RuntimeError as error:  # an accelerator that exists, but not here
        raise ValueError(f"device={device!r} cannot be used: {error}") from error
    if fabric.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(fabric.device)
    return fabric


def _sparsity_penalty(model: nn.Module, strength: float) -> Float[Tensor, ""]:
    # Imported where it is used: a chapter depends on every file its kernel loads, and only NAM's should on nam.py.
    from attnlib.scale_attention.nam import sparsity_penalty

    return sparsity_penalty(model, strength)


def _generators(seed: int) -> tuple[torch.Generator, torch.Generator]:
    """One for the order of the images and one for the augmentation, unlike those of any other seed."""
    order, augmentation = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return torch.Generator().manual_seed(int(order)), torch.Generator().manual_seed(int(augmentation))


def _build(recipe: Recipe, classes: int, image_size: int) -> nn.Module:
    """The network with its initial weights; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # torch.manual_seed would seed every GPU's generator too
        model = networks.create(recipe.backbone, classes, recipe.attention, recipe.attention_args, image_size)
    if recipe.sparsity:
        _sparsity_penalty(model, recipe.sparsity)  # refuses a network without NAM before anything is trained
    # Convolutions on small images are faster with the channels last, on a CPU as on a GPU.
    return model.to(memory_format=torch.channels_last)


def _parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict]:
    """All parameters, those with one axis apart where the recipe spares them the weight decay."""
    spared = [p for p in model.parameters() if p.dim() <= 1 and not recipe.decay_norms]
    decayed = [p for p in model.parameters() if p.dim() > 1 or recipe.decay_norms]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
