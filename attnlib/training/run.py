"""A training run between two of its steps: all that decides what comes next, and how to take one step."""

import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from attnlib.base import check_count
from attnlib.data import channel_statistics, datasets, load
from attnlib.training.batches import TORCH, Batches, DeviceImages, Normalisation, seed_of, split, with_noise
from attnlib.training.network import build, parameter_groups, sparsity_penalty
from attnlib.training.recipe import Recipe
from attnlib.training.record import Epoch
from attnlib.training.schedule import learning_rate

# Asking a GPU for the loss makes the CPU wait for it, so it is asked now and then; the step at fault is known exactly.
_LOOK_EVERY = 50


class NonFiniteLoss(RuntimeError):
    """The loss of a step was no number, or infinite."""


class Run:
    """The network, its optimiser, the data on the device, and how far the run has come.

    One process of several computes its share of each batch's parts; see `Recipe.batch_parts`.

    Args:
        recipe: what is run.
        fabric: launched where it has several processes.
        root: folder of the data sets.
        model: a network that stands for the recipe's backbone.

    Raises:
        UnknownNameError, MissingDataError, DamagedDataError, ValueError: what the recipe asks for does not fit.
    """

    def __init__(self, recipe: Recipe, fabric: Fabric, root: Any = None, model: nn.Module | None = None) -> None:
        self.recipe, self.fabric = recipe, fabric
        side = side_of_images(recipe)
        train_data, test_data = (load(recipe.data, split, root, True, side) for split in ("train", "test"))
        chosen, held_out = split(train_data, recipe.train_images, hold_out=recipe.protocol == "clean")
        classes = len(train_data.classes)
        self.model = build(recipe, classes, image_size=train_data.images.shape[1], model=model)
        self.normalise = Normalisation(*channel_statistics(train_data.images[chosen]))
        self.training = DeviceImages.select(train_data, chosen, fabric.device)
        self.validation = DeviceImages.select(train_data, held_out, fabric.device)
        self.test = DeviceImages.select(test_data, np.arange(len(test_data)), fabric.device)
        if recipe.label_noise:
            labels = with_noise(self.training.labels, classes, recipe.label_noise, recipe.seed)
            self.training = DeviceImages(self.training.images, labels)
        self.batches = Batches(self.training, self.normalise, recipe)
        self.epoch_steps = len(self.batches)
        self.steps = recipe.epochs * self.epoch_steps
        self._check_batches()
        optimiser = torch.optim.SGD(
            parameter_groups(self.model, recipe),
            recipe.learning_rate,
            recipe.momentum,
            nesterov=recipe.nesterov,
            fused=fabric.device.type in ("cpu", "cuda"),
        )
        self.wrapped, self.optimiser = fabric.setup(self.model, optimiser)

        self.step = 0  # taken so far
        self.epochs: list[Epoch] = []
        self._start_epoch()
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=fabric.device)

    def _check_batches(self) -> None:
        parts, count, side = self.recipe.batch_parts, len(self.training), self.training.images.shape[1]
        if self.recipe.batch_size > count:
            raise ValueError(f"batch_size={self.recipe.batch_size} must be at most {count}, the images to train on")
        if self.recipe.cutout > side:
            raise ValueError(f"cutout={self.recipe.cutout} must be at most {side}, the side of the images")
        smallest = self.batches.size(self.epoch_steps - 1)
        if smallest < 2 * parts:
            raise ValueError(
                f"batch_size={self.recipe.batch_size} leaves {smallest} of {len(self.training)} images for the last "
                f"batch, fewer than two for each of batch_parts={parts}, which batch norms need; change one of them"
            )

    def _start_epoch(self) -> None:
        # In float64 where the network is: the sum is compared between runs.
        kind = torch.float64 if self.recipe.precision == "64-true" else torch.float32
        self._sums = torch.zeros(2, dtype=kind, device=self.fabric.device)  # of the losses and of the correct images
        self._began = time.perf_counter()

    def advance(self) -> None:
        """Take one step.

        Raises:
            NonFiniteLoss: the loss of this step, or of one shortly before it on a GPU, was not finite.
        """
        epoch, batch = divmod(self.step, self.epoch_steps)
        rate = learning_rate(self.recipe, self.step, self.epoch_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimiser.zero_grad()
        sums = torch.zeros_like(self._sums)
        parts = range(self.fabric.global_rank, self.recipe.batch_parts, self.fabric.world_size)
        for part in parts:
            sums += self._part(epoch, batch, part, last=part == parts[-1], penalty=1 / len(parts))
        self.optimiser.step()
        self.step += 1
        sums = self.fabric.all_reduce(sums, reduce_op="sum")  # so that every process knows how the whole run stands
        self._sums += sums
        self._first_bad.masked_fill_(~torch.isfinite(sums[0]) & (self._first_bad < 0), self.step)
        if self.looks_up:
            self.check_loss()

    def _part(self, epoch: int, batch: int, part: int, last: bool, penalty: float) -> Float[Tensor, " 2"]:
        """Add one part's gradients, averaged over the processes at the last one; gives its loss and correct images."""
        inputs, labels = self.batches.part(epoch, batch, part)
        statistics = [] if part == 0 else [buffer.clone() for buffer in self.model.buffers()]
        with self.fabric.no_backward_sync(self.wrapped, enabled=not last):
            scores = self.wrapped(inputs)
            loss = F.cross_entropy(scores, labels)
            objective = loss * (len(labels) * self.fabric.world_size / self.batches.size(batch))
            if self.recipe.sparsity:
                objective = objective + penalty * sparsity_penalty(self.model, self.recipe.sparsity)
            self.fabric.backward(objective)
        for buffer, kept in zip(self.model.buffers(), statistics, strict=False):
            buffer.copy_(kept)  # the running statistics follow part 0
        return torch.stack([loss.detach() * len(labels), (scores.argmax(1) == labels).sum()])

    @property
    def looks_up(self) -> bool:
        """Whether the CPU waits for the device after this step, and processes hear of each other: each on a CPU."""
        on_cpu = self.fabric.device.type == "cpu"
        return on_cpu or self.step % _LOOK_EVERY == 0 or self.step % self.epoch_steps == 0

    def check_loss(self) -> None:
        """Raise NonFiniteLoss where a step's loss was not finite; the same in every process."""
        if (step := int(self._first_bad)) >= 0:
            raise NonFiniteLoss(
                f"the training loss is not finite at step {step} of {self.steps} (epoch "
                f"{(step - 1) // self.epoch_steps + 1}), at a learning rate of up to {self.recipe.learning_rate}; "
                "try a smaller one"
            )

    def any_process(self, says: bool) -> bool:
        """Whether `says` is true in one of the processes, all of which have to ask; known where the run looks up."""
        if self.fabric.world_size == 1:
            return says
        return self.looks_up and bool(
            self.fabric.all_reduce(torch.tensor(int(says), device=self.fabric.device), reduce_op="max")
        )

    @property
    def epoch_is_over(self) -> bool:
        """Whether the steps of the next epoch to be recorded are all taken."""
        return self.step == (len(self.epochs) + 1) * self.epoch_steps

    def finish_epoch(self) -> None:
        """Evaluate, note the epoch and begin the next."""
        loss, correct = (self._sums / len(self.training)).tolist()
        epoch = Epoch(
            epoch=len(self.epochs) + 1,
            learning_rate=learning_rate(self.recipe, self.step - 1, self.epoch_steps),
            train_loss=loss,
            train_accuracy=correct,
            seconds=round(time.perf_counter() - self._began, 3),
        )
        if self.recipe.protocol == "clean":
            epoch.validation_accuracy = self.accuracy(self.validation)
        else:
            epoch.test_accuracy = self.accuracy(self.test)
        self.epochs.append(epoch)
        self._start_epoch()

    def accuracy(self, data: DeviceImages) -> float:
        """The share of images whose highest score is their label's, in evaluation mode.

        Raises:
            NonFiniteLoss: a score is not finite: the last step broke the network, whose loss nothing would show.
        """
        self.model.eval()
        if self.fabric.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)
        kind = next(self.model.parameters()).dtype
        found = torch.zeros(2, dtype=torch.int64, device=self.fabric.device)  # correct images, and those without sense
        # Not through `wrapped`, at whose every batch the processes wait for each other: they may have unlike many.
        with torch.no_grad(), self.fabric.autocast():
            for images, labels in data.parts(self.fabric.global_rank, self.fabric.world_size):
                scores = self.model(self.normalise(images).to(kind))
                senseless = ~torch.isfinite(scores).all(1)
                found += torch.stack([(scores.argmax(1) == labels).sum(), senseless.sum()])
        correct, senseless = self.fabric.all_reduce(found, reduce_op="sum").tolist()
        if senseless:
            raise NonFiniteLoss(
                f"after step {self.step} of {self.steps} the network's scores are not finite for {senseless} of "
                f"{len(data)} images, at a learning rate of up to {self.recipe.learning_rate}; try a smaller one"
            )
        return correct / len(data)

    def final_accuracy(self) -> float:
        """On the test images, after the last epoch; under the protocol "clean" this is the one time they are read."""
        return self.accuracy(self.test) if self.recipe.protocol == "clean" else self.epochs[-1].test_accuracy

    def checkpoint_bytes(self) -> int:
        """About what a checkpoint takes: the optimiser comes to hold as much as the parameters."""
        parameters, buffers = (
            sum(tensor.nbytes for tensor in of) for of in (self.model.parameters(), self.model.buffers())
        )
        return 2 * parameters + buffers

    def state(self) -> dict[str, Any]:
        """All that has to be kept, in types that `torch.load(weights_only=True)` reads."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "epochs": [epoch.model_dump() for epoch in self.epochs],
            "sums": self._sums,
            "epoch_seconds": time.perf_counter() - self._began,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.fabric.device) if self.fabric.device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`.

        Raises:
            ValueError: its step and its epochs do not fit this run; others, where its tensors do not fit the network.
        """
        step, epochs = state["step"], state["epochs"]
        if type(step) is not int or not 0 <= step <= self.steps or len(epochs) != step // self.epoch_steps:
            raise ValueError(f"step {step!r} of {self.steps} after {len(epochs)} epochs of {self.epoch_steps} steps")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = step
        self.epochs = [Epoch(**epoch) for epoch in epochs]
        self._sums.copy_(state["sums"])
        self._began = time.perf_counter() - state["epoch_seconds"]
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.fabric.device)


def side_of_images(recipe: Recipe) -> int | None:
    """To which the images of a folder are resized; None for a data set, whose images have a size of their own."""
    if recipe.image_size is not None or recipe.data in datasets():
        return recipe.image_size
    from attnlib.networks import external

    return external.image_size(recipe.backbone)


def check_shares(recipe: Recipe, devices: int) -> None:
    """Raise ValueError where so many processes cannot share a batch's parts."""
    check_count("devices", devices)
    if recipe.batch_parts % devices:
        raise ValueError(
            f"devices={devices} cannot share batch_parts={recipe.batch_parts}: a batch norm sees one part, so that the "
            f"number of parts is the recipe's; set batch_parts to a multiple of {devices}"
        )


def torch_seed(recipe: Recipe) -> int:
    """Of torch's own generator during the run, for networks that draw in their forward pass."""
    return seed_of(recipe.seed, TORCH)
