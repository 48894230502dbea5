"""Where a run computes: one device, or several processes that share each batch."""

from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException

from attnlib.base import check_count

DEVICES = ("auto", "cpu", "cuda", "mps")


def processes_with(precision: str, device: str, devices: int) -> Fabric:
    """Lightning Fabric on `devices` processes; where they are several, the calling script has been started so often.

    Raises:
        ValueError: a device that is unknown or not here, or fewer of them than asked for.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    check_count("devices", devices)
    strategy = "auto" if devices == 1 else "ddp"
    try:
        fabric = Fabric(accelerator=device, devices=devices, precision=precision, strategy=strategy)
    except (
        RuntimeError,
        MisconfigurationException,
    ) as error:  # an accelerator that exists, but not here or not so many
        raise ValueError(f"device={device!r}, devices={devices} cannot be used: {error}") from error
    if devices > 1:
        fabric.launch()
    return fabric
