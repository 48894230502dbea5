"""What modules add to a network, beside each other: `attnlib.compare("resnet50", ["se", "eca"]).plot()`."""

import copy
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from attnlib import registry
from attnlib.base import check_choice, check_flag, check_size
from attnlib.data.files import writable_file, write_text
from attnlib.networks import attach, external
from attnlib.profiling import timing
from attnlib.profiling.cost import Cost, profile
from attnlib.profiling.inputs import Counted, counted
from attnlib.profiling.timing import Latency
from attnlib.results.formats import latex, markdown

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

Module = str | tuple[str, Mapping[str, Any]]

FORMS = {".csv": "csv", ".md": "markdown", ".tex": "latex", ".json": "json", ".svg": "the plot"}
_FIGURES = ("parameters", "macs", "elementwise", "activations", "peak_memory_bytes")  # of `Cost`
_SHOWN = {
    "parameters": "parameters",
    "macs": "MACs",
    "elementwise": "element-wise",
    "peak_memory_bytes": "training memory",
}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class ComparedNetwork:
    """The network with one module.

    Attributes:
        label: the module with its arguments, e.g. "se(reduction=8)"; "none" is the plain network.
        cost: of one image, see `attnlib.profiling.cost.Cost`.
        latency: of the forward pass; None where no time was measured.
    """

    label: str
    cost: Cost
    latency: Latency | None


@dataclass(frozen=True)
class CostComparison:
    """What a network costs plain and with each of several modules.

    Attributes:
        network: its name, or the class of one's own.
        image_size: (H, W) of the images; None where other inputs were given.
        counted: what of the network was counted and timed: all of it, or a detector's part that runs at every pixel.
        rows: the plain network, then one row for each module, in the order asked for.
        notes: what attaching and counting warned of.
    """

    network: str
    image_size: tuple[int, int] | None
    counted: str
    rows: list[ComparedNetwork]
    notes: list[str]

    @property
    def caption(self) -> str:
        """What was compared and where it was timed, in one line."""
        size = "" if self.image_size is None else f", images of {self.image_size[0]} x {self.image_size[1]}"
        said = f"{self.network}{size}; {self.counted}"
        timed = self.rows[0].latency
        if timed is None:
            return said
        return (
            f"{said}; latency of a batch of {timed.batch}: median and quartiles of {len(timed.milliseconds)} passes, "
            f"all networks timed in turn, on {timed.where}"
        )

    def frame(self) -> "pandas.DataFrame":
        """One line for each row, with every digit; what a module adds to the plain network stands in `*_added`.

        Columns: module; the five figures of `Cost`, each with what is added; and where time was measured latency_ms and
        time_ratio (to the plain network, round by round) with their quartiles `*_low` and `*_high`; then where it was.
        """
        import pandas

        return pandas.DataFrame([self._line(row) for row in self.rows])

    def _line(self, row: ComparedNetwork) -> dict[str, Any]:
        plain = self.rows[0]
        added = row.cost - plain.cost
        line: dict[str, Any] = {"module": row.label}
        for name in _FIGURES:
            line |= {name: getattr(row.cost, name), f"{name}_added": getattr(added, name)}
        if row.latency is not None:
            low, high = row.latency.quartiles
            ratio_low, ratio, ratio_high = row.latency.over(plain.latency)
            line |= {"latency_ms": row.latency.median, "latency_ms_low": low, "latency_ms_high": high}
            line |= {"time_ratio": ratio, "time_ratio_low": ratio_low, "time_ratio_high": ratio_high}
        height, width = self.image_size or (None, None)
        line |= {"network": self.network, "image_height": height, "image_width": width}
        if row.latency is not None:
            line |= {"batch": row.latency.batch, "passes": len(row.latency.milliseconds)}
            line |= {"torch": row.latency.torch, **row.latency.machine}
        return line

    def cells(self) -> tuple[list[str], list[list[tuple[str, ...]]]]:
        """The headings, and for each row its cells as lines: a figure, then what the module adds or its quartiles."""
        headings = ["module", *_SHOWN.values()]
        rows = []
        for row in self.rows:
            line, first = self._line(row), row is self.rows[0]
            cells: list[tuple[str, ...]] = [(row.label,)]
            for name in _SHOWN:
                unit = "B" if name == "peak_memory_bytes" else ""
                added = () if first else (shortened(line[f"{name}_added"], unit, sign=True),)
                cells.append((shortened(line[name], unit), *added))
            if row.latency is not None:
                ms = [_significant(line[f"latency_ms{end}"]) for end in ("", "_low", "_high")]
                cells.append((f"{ms[0]} ms", f"{ms[1]}–{ms[2]}"))
                ratio = [f"{line[f'time_ratio{end}']:.3f}" for end in ("", "_low", "_high")]
                cells.append(("1",) if first else (ratio[0], f"{ratio[1]}–{ratio[2]}"))
            rows.append(cells)
        if self.rows[0].latency is not None:
            headings += ["latency", "time / plain"]
        return headings, rows

    def text(self, form: str) -> str:
        """The table as text.

        Args:
            form: "csv" and "json" have every digit; "markdown" and "latex" (a `tabular` that needs the package
                booktabs) have rounded figures, with what the module adds in brackets.

        Raises:
            UnknownNameError: no such form.
        """
        check_choice("form", form, [each for each in FORMS.values() if each != "the plot"])
        if form == "csv":
            return self.frame().to_csv(index=False)
        if form == "json":
            said = {"caption": self.caption, "notes": self.notes, "rows": self.frame().to_dict("records")}
            return json.dumps(said, indent=1, ensure_ascii=False) + "\n"
        headings, rows = self.cells()
        flat = [[f"{cell[0]} ({cell[1]})" if len(cell) > 1 else cell[0] for cell in row] for row in rows]
        if form == "markdown":
            return markdown(headings, flat) + "".join(f"\n{said}\n" for said in (f"{self.caption}.", *self.notes))
        said = "".join(f"% {' '.join(words.split())}\n" for words in (f"{self.caption}.", *self.notes))
        return said + latex(headings, flat)

    def plot(self) -> "Figure":
        """What each module adds to the plain network, in percent: a panel for each quantity, a row for each module.

        Raises:
            ValueError: seaborn is not installed.
        """
        drawn = _drawing()
        rows = []
        for row in self.rows[1:]:
            line, plain = self._line(row), self._line(self.rows[0])
            for name, heading in _SHOWN.items():
                if plain[name]:
                    percent = 100 * line[f"{name}_added"] / plain[name]
                    unit = "B" if name == "peak_memory_bytes" else ""
                    rows.append((heading, row.label, *[percent] * 3, shortened(line[f"{name}_added"], unit, sign=True)))
            if row.latency is not None:
                low, middle, high = (100 * (line[f"time_ratio{end}"] - 1) for end in ("_low", "", "_high"))
                rows.append(("latency", row.label, low, middle, high, f"{middle:+.1f} %".replace("-", "−")))
        return drawn.added_costs(rows, self.network)

    def save(self, path: str | Path) -> Path:
        """Write the table or the plot, by the ending of the file: .csv, .md, .tex, .json or .svg; returns the path.

        Raises:
            ValueError: another ending; a plot where seaborn is not installed.
            OSError: the file cannot be written.
        """
        form = form_of(path)
        path = writable_file(path, "choose another file")
        if form != "the plot":
            write_text(path, self.text(form))
            return path
        import matplotlib.pyplot as plt

        drawing = io.StringIO()
        with plt.rc_context({"svg.hashsalt": "attnlib", "svg.fonttype": "none"}):
            figure = self.plot()
            figure.savefig(drawing, format="svg", metadata={"Date": None, "Title": self.caption})
            plt.close(figure)
        write_text(path, drawing.getvalue())
        return path


def compare(
    network: str | nn.Module,
    modules: Sequence[Module],
    image_size: int | tuple[int, int] | None = None,
    *,
    latency: bool = True,
    runs: int = 20,
    batch: int = 1,
    threads: int | None = None,
    device: str = "auto",
    classes: int | None = None,
    placement: Any = None,
    inputs: Sequence[Any] | None = None,
    progress: Callable[[str, int, int], None] = lambda words, done, steps: None,
) -> CostComparison:
    """Count and time a network plain and with each of several modules at its paper's place.

    >>> compared = attnlib.compare("resnet50", ["se", ("se", {"reduction": 8}), "eca"], image_size=224)
    >>> compared.frame(), compared.plot(), compared.save("costs.tex")

    Args:
        network: a name of `networks.list_networks()`, `torchvision:NAME`, `timm:NAME`, `my_models:function`, or a
            network of your own, which is copied and not changed.
        modules: keys of `attnlib.list_modules()` or controls, each alone or with its arguments.
        image_size: H = W or (H, W) of the images; default what the network was made for, 224 for others' networks.
        latency: whether to measure times, too; counts alone take a second or two for each network.
        runs: timed passes of each network, see `attnlib.profiling.latencies`.
        batch: images of a timed pass. Counts are those of one image.
        threads: of the processor while it is timed; default as many as PyTorch is set to.
        device: where to time: cpu, cuda or mps; "auto" is the accelerator where there is one, and for a network of
            your own where it lies.
        classes: outputs of a network that is named; default those of its usual data.
        placement: where all modules go, see `attnlib.attach`; default the paper's place of each. One module's own is
            one of its arguments: ("se", {"placement": "stage-end"}).
        inputs: the arguments of a network of your own that takes anything else than an image.
        progress: is told what is done now, and how many steps of how many are over.

    Raises:
        UnknownNameError: no such network or module.
        TypeError: a number that is not whole.
        ValueError: no module; one twice; one that does not fit the network; a number below 1; a device that is not
            here. All this is found before anything is counted.

    Warns:
        UserWarning: what `attach` and `profile` warn of, with the module it is about; the notes have it, too.
    """
    check_flag("latency", latency)
    timing.check_timing(runs, batch, threads)
    if inputs is not None and batch != 1:
        raise ValueError(f"batch={batch} goes with images; give inputs of the batch that you want to time")
    wanted = [_described(each) for each in ([modules] if isinstance(modules, str | tuple) else modules)]
    labels = ["none", *(label for label, _, _ in wanted)]
    if not wanted:
        raise ValueError("no module to compare the plain network with; give one or more of attnlib.list_modules()")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(
            f"{', '.join(twice)} would be in the table twice; leave one out (none is always the first row)"
        )
    for _, key, _ in wanted:
        registry.info(key)
    own = isinstance(network, nn.Module)
    if own and classes is not None:
        raise ValueError(f"classes={classes} is for a network that is named; this one has its last layer already")
    where = None if own and device == "auto" else timing.device_named(device)
    if inputs is None:
        size = check_size("image_size", image_size or (224 if own else external.image_size(network)))
    else:
        size = None if image_size is None else check_size("image_size", image_size)
    plain = network if own else external.build(network, classes)

    notes: list[str] = []
    models = {"none": plain}
    for label, key, arguments in wanted:
        models[label] = copy.deepcopy(plain)
        with _noted(label, notes):
            attach(models[label], key, size, **({"placement": placement, "inputs": inputs} | arguments))
    name = network if isinstance(network, str) else f"own:{type(network).__name__}"
    parts = {label: _part(name, model, size, inputs) for label, model in models.items()}
    costs = {}
    for label, part in parts.items():
        progress(f"counting {label}", len(costs), len(parts))
        with _noted(label, notes):
            costs[label] = profile(part.model, inputs=part.inputs)
    progress("counted", len(costs), len(parts))
    times = {}
    if latency:
        timed = {label: part.model if where is None else part.model.to(where) for label, part in parts.items()}
        given = parts["none"].inputs if inputs is not None else _batch(parts["none"].inputs, batch)

        def told(label: str, done: int, steps: int) -> None:
            progress(f"timing {label}", done, steps)

        times = timing.latencies(timed, batch=batch, runs=runs, threads=threads, inputs=given, progress=told)
    return CostComparison(
        network if isinstance(network, str) else type(network).__name__,
        None if inputs is not None else size,
        parts["none"].words,
        [ComparedNetwork(label, costs[label], times.get(label)) for label in models],
        notes,
    )


def form_of(path: str | Path) -> str:
    """What a file of that name would hold, one of `FORMS`.

    Raises:
        ValueError: no such ending; a plot where seaborn is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMS:
        raise ValueError(f"{path} ends in {ending or 'nothing'}; a comparison is written as {', '.join(FORMS)}")
    if FORMS[ending] == "the plot":
        _drawing()
    return FORMS[ending]


def shortened(value: float | int, unit: str = "", sign: bool = False) -> str:
    """25557032 as "25.56 M"; numbers below 1000 are whole."""
    front = "−" if value < 0 else "+" if sign else ""
    value = abs(value)
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{front}{_significant(value / size)} {prefix}{unit}"
    return f"{front}{value:.0f}{f' {unit}' if unit else ''}"


def _significant(value: float) -> str:
    """With four significant digits, two decimals at most: 5.25, 52.53, 525.3, 5253."""
    return f"{value:.{2 if value < 100 else 1 if value < 1000 else 0}f}"


def _described(module: Module) -> tuple[str, str, dict[str, Any]]:
    """Label, key and arguments of one of the modules asked for."""
    key, arguments = (module, {}) if isinstance(module, str) else module
    if not isinstance(key, str) or not isinstance(arguments, Mapping):
        raise TypeError(f'a module is a key or a key with arguments, as ("se", {{"reduction": 8}}), got {module!r}')
    if "(" in key:
        raise ValueError(f'{key!r}: give the arguments apart, as ("se", {{"reduction": 8}})')
    if taken := sorted({"image_size", "inputs", "dry_run", "strict"} & arguments.keys()):
        raise ValueError(f"{', '.join(taken)} cannot be one module's own, got {module!r}")
    inside = ", ".join(f"{name}={value}" for name, value in sorted(arguments.items()))
    return (f"{key}({inside})" if inside else key), key, dict(arguments)


def _part(name: str, model: nn.Module, size: tuple[int, int] | None, inputs: Sequence[Any] | None) -> Counted:
    if inputs is not None:
        return Counted(model, tuple(inputs))
    return counted(name, model, size)


def _batch(inputs: Sequence[Tensor], batch: int) -> tuple[Tensor, ...]:
    """The inputs of one image as those of several, images and noise with values."""

    def several(tensor: Tensor) -> Tensor:
        wide = tensor.expand(batch, *tensor.shape[1:]).contiguous()
        return torch.randn_like(wide) if tensor.is_floating_point() else wide

    return tree_map_only(Tensor, several, tuple(inputs))


@contextmanager
def _noted(label: str, notes: list[str]):
    """Warnings with the module they are about, and kept as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for each in caught:
        notes.append(f"{label}: {each.message}")
        warnings.warn(notes[-1], stacklevel=4)


def _drawing():
    try:
        from attnlib.plots import compared
    except ImportError as error:
        raise ValueError(f"a plot needs {error.name}, which is not installed: pip install seaborn") from None
    return compared
