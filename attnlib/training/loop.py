"""The training loop: `train(recipe)`."""

import contextlib
import os
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn

from attnlib import networks
from attnlib.data.files import writable_folder
from attnlib.data.images import check_name
from attnlib.errors import shortened
from attnlib.training.batches import Normalisation, evaluation_batch
from attnlib.training.checkpoint import Checkpoints
from attnlib.training.devices import processes_with
from attnlib.training.folder import alone, earlier_sitting
from attnlib.training.provenance import commit, provenance
from attnlib.training.recipe import Recipe
from attnlib.training.record import Epoch, Final, Record
from attnlib.training.run import NonFiniteLoss, Run, check_shares, torch_seed
from attnlib.training.workers import is_worker, local_rank

Progress = Callable[[int, int, list[Epoch]], None]


class TrainingFailedError(RuntimeError):
    """The loss is no longer a number, or another error ended the training; `record` holds the epochs before."""

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


class TrainingInterrupted(KeyboardInterrupt):
    """Asked to stop while training, by Ctrl-C, SIGTERM or SIGHUP; `record` holds the epochs before."""

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
        one = next(self.model.parameters())
        return Normalisation(self.record.mean, self.record.std)(torch.tensor(images, device=one.device)).to(one.dtype)

    def predict(self, images: UInt8[np.ndarray, "N H W 3"]) -> Float[Tensor, "N classes"]:
        """The scores of each class before the softmax, on the CPU, in the precision of the run."""
        one = next(self.model.parameters())
        in_bf16 = self.record.recipe.precision == "bf16-mixed"
        with torch.no_grad(), torch.autocast(one.device.type, torch.bfloat16, enabled=in_bf16):
            size = evaluation_batch(*images.shape[1:3])
            parts = [self.model(self.inputs(images[i : i + size])) for i in range(0, len(images), size)]
        return torch.cat(parts).to("cpu", one.dtype)


def train(
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    device: str = "auto",
    root: str | Path | None = None,
    devices: int = 1,
    restart: bool = False,
    deterministic: bool = False,
    save_every: float = 60.0,
    model: nn.Module | None = None,
    data: str | Path | None = None,
) -> Trained:
    """Train by `recipe` and give back the network with its record.

    >>> train(Recipe.named("equal-budget", attention="se", epochs=5), model=my_network, data="photos")

    With a folder `out` the run can be stopped at any moment, even by a crash: the same call goes on from the last
    checkpoint and ends with the same record, apart from measured times, throughput and memory. That is so on the CPU of
    one machine with one number of threads, and on a GPU with `deterministic`. A finished run is not run again.

    Args:
        recipe: what to do; see `Recipe`. Default the recipe "equal-budget".
        out: folder for `record.json`, written when the run ends, however it ends, and for its checkpoints. Default:
            nothing is written.
        progress: called after every step and every epoch with the steps done, the steps in all, the completed epochs.
        device: "auto" takes the GPU where there is one; else "cpu", "cuda" or "mps".
        root: folder that holds the data sets, see `attnlib.data.load`.
        devices: processes that share each batch, each on a GPU or on the CPU; they compute what one process computes.
            More than one start the calling script anew, so that this needs a script or the `attnlib` command.
        restart: forget what `out` holds of an earlier run.
        deterministic: refuse GPU operations that do not give the same numbers each time.
        save_every: seconds from one checkpoint to the next; there is one at the start and one at the end besides.
        model: a network of your own that stands for the recipe's backbone. It is copied with its weights, which may
            have been trained elsewhere, and gets the recipe's attention; the record calls it by its class. To go on,
            the same call needs the same network.
        data: a data set or a folder of images by class, in place of the recipe's.

    Raises:
        UnknownNameError, MissingDataError, DamagedDataError, ValueError, OSError: before anything is trained.
        TrainingFailedError: the loss is no longer finite, a checkpoint cannot be written (the one before is kept),
            or there was any other error, which is then its cause; the record says "failed" and why.
        TrainingInterrupted: Ctrl-C (a KeyboardInterrupt), SIGTERM or SIGHUP; the record says "interrupted".
    """
    recipe = _with_own(recipe, model, data)
    if not save_every >= 0:  # of a number that is none, too
        raise ValueError(f"save_every={save_every} must be seconds, 0 or more")
    folder = None if out is None else writable_folder(out, fix="choose another output folder")
    writer = folder is not None and not is_worker()
    if local_rank() and not is_worker():
        warnings.warn(
            f"LOCAL_RANK={local_rank()} in the environment is passed over: neither torchrun with WORLD_SIZE above 1 "
            "nor `train` has started this process, which trains by itself",
            stacklevel=2,
        )
    with contextlib.ExitStack() as stack:
        check_shares(recipe, devices)
        stack.enter_context(_own_precision())
        if writer:  # before other processes are started, which would wait for this one
            stack.enter_context(alone(folder))
        earlier = earlier_sitting(folder, recipe) if writer and not restart else (None, None)
        fabric = processes_with(recipe.precision, device, devices)
        stack.enter_context(_random_state(fabric, recipe, deterministic))
        stack.enter_context(_default_dtype(torch.float32))  # in which first weights are drawn
        run = Run(recipe, fabric, root, model)
        _check_default_dtype(torch.float32)
        # Fabric rounds what a network returns to the default type, which must not be less than the network's own.
        kind = torch.float64 if recipe.precision == "64-true" else torch.float32
        stack.enter_context(_default_dtype(kind))
        if writer and restart:  # the arguments are good: from here on, what lies in the folder is this run's
            (folder / "record.json").unlink(missing_ok=True)
            Checkpoints(folder).clear()
        return _Sitting(run, folder if writer else None, progress, save_every, earlier, kind).train()


def _with_own(recipe: Recipe | None, model: nn.Module | None, data: str | Path | None) -> Recipe:
    """The recipe with what the caller brings in place of its own."""
    recipe = recipe or Recipe.named("equal-budget")
    if model is not None and not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}; a network by name is recipe.backbone")
    if data is not None:
        check_name(str(data))
    chosen = {"data": None if data is None else str(data), "backbone": model and f"model:{type(model).__name__}"}
    return recipe.model_copy(update={field: value for field, value in chosen.items() if value is not None})


class _Sitting:
    """One process's attempt to bring a run to its end, and what it leaves in the folder."""

    def __init__(
        self,
        run: Run,
        folder: Path | None,
        progress: Progress | None,
        save_every: float,
        earlier: tuple[dict | None, Record | None],
        default_dtype: torch.dtype,
    ) -> None:
        self.run, self.folder, self.save_every, self.default_dtype = run, folder, save_every, default_dtype
        self.progress = progress if progress and run.fabric.is_global_zero else lambda *_: None
        self.begun, self.earlier_seconds = time.perf_counter(), 0.0
        self.cpu_begun, self.earlier_cpu_seconds = time.process_time(), 0.0  # None where an older checkpoint lacks it
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.commit = commit()
        self.saved, self.saved_step = self.begun, -1
        state, self.done = run.fabric.broadcast(earlier)
        if state is not None:
            self._restore(state)

    def _restore(self, state: dict) -> None:
        try:
            self.run.restore(state["run"])
            self.started, self.earlier_seconds = state["started"], state["seconds"]
            self.earlier_cpu_seconds = state.get("cpu_seconds")
            was = state["deterministic"]
        except Exception as error:  # a network or a run of other parts, or a forged one: errors of all kinds
            raise ValueError(
                f"the checkpoint of step {self.run.step or '?'} was made by other code and does not fit: "
                f"{shortened(error)}; begin anew by restart=True (--restart)"
            ) from error
        if was != (now := torch.are_deterministic_algorithms_enabled()):
            warnings.warn(f"the run was begun with deterministic={was} and goes on with {now}", stacklevel=4)
        self.saved_step = self.run.step

    def train(self) -> Trained:
        run = self.run
        if self.done is not None:
            return self._again()
        try:
            with _asked_to_stop() as asked:
                if self.folder is not None:
                    Checkpoints(self.folder).check_room(run.checkpoint_bytes())
                self._save()  # at the start, so that a folder without room is known before the work and not after it
                while run.step < run.steps:
                    run.advance()
                    _check_default_dtype(self.default_dtype)
                    self.progress(run.step, run.steps, run.epochs)
                    if run.epoch_is_over:
                        run.finish_epoch()
                        self.progress(run.step, run.steps, run.epochs)
                    if run.any_process(asked.is_set()):
                        self._save()
                        raise KeyboardInterrupt
                    # Only where all processes know that the loss is finite: one alone must not end here.
                    if run.looks_up and time.perf_counter() - self.saved > self.save_every:
                        self._save()
                self._save()
                accuracy = run.final_accuracy()
        except KeyboardInterrupt:
            raise TrainingInterrupted(self._record("interrupted")) from None
        except NonFiniteLoss as error:
            raise TrainingFailedError(str(error), self._record("failed", error=str(error))) from None
        except Exception as error:
            record = self._record("failed", error=f"{type(error).__name__}: {error}")
            raise TrainingFailedError(str(error), record) from error
        final = Final(accuracy=accuracy, test_images=len(run.test))
        return Trained(self._record("finished", final=final), run.model.eval())

    def _again(self) -> Trained:
        if self.run.step < self.run.steps:
            raise ValueError(
                f"the run of seed {self.done.seed} is finished, but the checkpoint with its network is gone; read its "
                "record with Record.load, or train it again by restart=True"
            )
        return Trained(self.done, self.run.model.eval())

    def _save(self) -> None:
        if self.folder is None or self.run.step == self.saved_step:
            return
        self.run.check_loss()  # a broken state is not worth keeping
        state = {
            "recipe": self.run.recipe.model_dump_json(),
            "commit": self.commit,
            "started": self.started,
            "seconds": self._seconds(),
            "cpu_seconds": self._cpu_seconds(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "run": self.run.state(),
        }
        Checkpoints(self.folder).save(self.run.step, state)
        self.saved, self.saved_step = time.perf_counter(), self.run.step

    def _seconds(self) -> float:
        return self.earlier_seconds + time.perf_counter() - self.begun

    def _cpu_seconds(self) -> float | None:
        if self.earlier_cpu_seconds is None:
            return None
        return self.earlier_cpu_seconds + time.process_time() - self.cpu_begun

    def _record(self, status: str, final: Final | None = None, error: str | None = None) -> Record:
        run, fabric = self.run, self.run.fabric
        spent = sum(epoch.seconds for epoch in run.epochs)
        modules = networks.attention_modules(run.model).values()
        made = Record(
            recipe=run.recipe,
            protocol=run.recipe.protocol,
            seed=run.recipe.seed,
            status=status,
            parameters=sum(p.numel() for p in run.model.parameters()),
            attached=Counter(" ".join(repr(module).split()) for module in modules),
            train_images=len(run.training),
            validation_images=len(run.validation),
            mean=run.normalise.mean,
            std=run.normalise.std,
            epochs=run.epochs,
            final=final,
            error=error,
            provenance=provenance(
                fabric.device,
                fabric.world_size,
                self.started,
                self._seconds(),
                len(run.epochs) * len(run.training) / spent if spent else None,
                self._cpu_seconds(),
            ),
        )
        if self.folder is not None:
            # A full disk does not take the record of a failure either; the failure itself is told.
            with contextlib.suppress(OSError) if status == "failed" else contextlib.nullcontext():
                made.save(self.folder / "record.json")
        return made


@contextlib.contextmanager
def _random_state(fabric: Fabric, recipe: Recipe, deterministic: bool) -> Iterator[None]:
    """Torch's generators at the run's own seed, and what makes a GPU exact or fast; afterwards all is as before."""
    cuda = fabric.device.type == "cuda"
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[fabric.device] if cuda else []):
        torch.default_generator.manual_seed(torch_seed(recipe))
        if cuda:
            torch.cuda.manual_seed(torch_seed(recipe))
            torch.cuda.reset_peak_memory_stats(fabric.device)
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses
        torch.use_deterministic_algorithms(deterministic or before[0], warn_only=before[1] and not deterministic)
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.backends.cudnn.benchmark = benchmark


@contextlib.contextmanager
def _own_precision() -> Iterator[None]:
    """As outside of any autocast of the caller's: the precision is the recipe's.

    Not another autocast around the run, since only the outermost one forgets the copies of the weights in half
    precision when it ends: from step to step the weights would stay the first ones.
    """
    available = [device for device in ("cpu", "cuda", "mps") if torch.amp.is_autocast_available(device)]
    on = [device for device in available if torch.is_autocast_enabled(device)]
    depth = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    for device in on:
        torch.set_autocast_enabled(device, False)
    for _ in range(depth):
        torch.autocast_decrement_nesting()
    try:
        yield
    finally:
        for _ in range(depth):
            torch.autocast_increment_nesting()
        for device in on:
            torch.set_autocast_enabled(device, True)


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Torch's default type for a while, whatever the caller's is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _check_default_dtype(wanted: torch.dtype) -> None:
    """Refuse what another thread makes of the numbers: torch's default type is one for all threads."""
    if (found := torch.get_default_dtype()) != wanted:
        raise RuntimeError(
            f"another thread has set torch's default type to {found}, which is that of the whole process; the run "
            f"needs {wanted}: let it run in a process of its own, or beside no such thread"
        )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and SIGHUP set, so that a run stops between two steps; a second Ctrl-C at once.

    SIGHUP comes when the terminal is closed. Who has it ignored, as nohup does, goes on.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield asked
        return

    def ask(number: int, _) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
