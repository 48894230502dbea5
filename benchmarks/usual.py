"""The training loop that everybody writes, for comparison."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from attnlib.data import Images, load
from attnlib.training import Recipe
from attnlib.training.batches import split
from attnlib.training.network import build, parameter_groups
from attnlib.training.schedule import learning_rate


class Pictures(Dataset):
    """CIFAR as torchvision's own data set gives it: one PIL image at a time."""

    def __init__(self, data: Images, chosen: np.ndarray, transform: Callable[[Any], torch.Tensor]) -> None:
        self.images, self.labels, self.transform = data.images[chosen], data.labels[chosen], transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(transforms.functional.to_pil_image(self.images[index])), int(self.labels[index])


class UsualLoop:
    """The loop of most repositories, on the same images, network and schedule as a `Run` of `recipe`."""

    def __init__(self, recipe: Recipe, device: torch.device, workers: int) -> None:
        self.recipe, self.device = recipe, device
        data, test = load(recipe.data, "train"), load(recipe.data, "test")
        chosen, _ = split(data, recipe.train_images, hold_out=recipe.protocol == "clean")
        whole = [transforms.ToTensor(), transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))]
        varied = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        self.batches = DataLoader(
            Pictures(data, chosen, transforms.Compose(varied + whole)),
            recipe.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=True,
        )
        self.test = DataLoader(
            Pictures(test, np.arange(len(test)), transforms.Compose(whole)), 500, num_workers=workers
        )
        self.model = build(recipe, len(data.classes), 32).to(device, memory_format=torch.contiguous_format)
        self.optimiser = torch.optim.SGD(
            parameter_groups(self.model, recipe), recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
        )
        self.step = 0
        self._endless = self._again_and_again()

    def _again_and_again(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from self.batches

    def advance(self) -> None:
        """One step, with the loss read at its end as progress bars do."""
        images, labels = (part.to(self.device, non_blocking=True) for part in next(self._endless))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step, len(self.batches))
        self.model.train()
        self.optimiser.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimiser.step()
        loss.item()
        self.step += 1

    def accuracy(self) -> float:
        """Of all its epochs' end, on the test images."""
        self.model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in self.test:
                correct += (self.model(images.to(self.device)).argmax(1).cpu() == labels).sum().item()
        return correct / len(self.test.dataset)
