"""Checks of the claims of "Attention Is All You Need" and two forerunners.

paper.yml says what each is held against.
"""

from collections.abc import Callable, Iterable
from itertools import product, repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import create
from attnlib.ledger.costs import printed_tolerance
from attnlib.ledger.draw import largest, normal, seeded
from attnlib.ledger.measure import Call, Module, multiply_adds, parameters, work
from attnlib.ledger.printed import column_of
from attnlib.ledger.schema import load
from attnlib.ledger.verdict import Finding
from attnlib.self_attention.additive import AdditiveAttention
from attnlib.self_attention.dot_product import attention_weights
from attnlib.self_attention.position_codes import sinusoidal

HEADS = (1, 4, 8, 16, 32)  # rows (A) of Table 3


def network_of(table: str, row: dict[str, Any], column: str) -> Module | int | str:
    """What a printed cost belongs to, or why it is not recomputed."""
    if table == "table-3":
        return _model(row, _tokens()["released code"])
    for run in (run for times in ("times", "times-second-hand") for run in load("dot_product").rows(times)):
        if run["model"] == row["model"] and column.endswith(run["language"]):
            return _training_operations(run)
    return f"training time or ensemble size of {row['model']} was not found"


def _tokens() -> dict[str, int]:
    return column_of("dot_product", "vocabulary", "where", "tokens")


def _training_operations(run: dict[str, Any]) -> int:
    """Time x GPUs x sustained rate, as the paper estimates it."""
    rates = column_of("dot_product", "rates", "gpu", "tflops")
    return round(run["models"] * run["days"] * 86400 * run["gpus"] * rates[run["gpu"]] * 1e12)


def _attention(width: int, keys: int, values: int) -> nn.ModuleList:
    """The projections of multi-head attention, of `keys` and `values` channels in all heads together."""
    return nn.ModuleList(
        nn.Linear(*sizes) for sizes in ((width, keys), (width, keys), (width, values), (values, width))
    )


def _layer(width: int, hidden: int, keys: int, values: int, attentions: int) -> nn.ModuleList:
    """Attentions and a point-wise network, with a norm each."""
    parts = [_attention(width, keys, values) for _ in range(attentions)]
    parts += [nn.Linear(width, hidden), nn.Linear(hidden, width)]
    return nn.ModuleList(parts + [nn.LayerNorm(width) for _ in range(attentions + 1)])


def _transformer(layers: int, width: int, hidden: int, keys: int, values: int, tokens: int) -> nn.ModuleList:
    """All that has parameters: encoder, decoder, and the matrix of the embeddings and the last linear map."""
    stacks = [_layer(width, hidden, keys, values, attentions) for attentions in (1, 2) for _ in range(layers)]
    return nn.ModuleList([*stacks, nn.Embedding(tokens, width)])


def _model(row: dict[str, Any], tokens: int) -> Module:
    """The model of a row of Table 3, which leaves out what is as in the base model."""
    base = _table_3()["base"]
    has = {name: base[name] if value is None else value for name, value in row.items()}
    keys, values = has["heads"] * has["d_k"], has["heads"] * has["d_v"]
    return Module(Call(_transformer, has["layers"], has["width"], has["hidden"], keys, values, tokens))


def _multi_head(channels: int, heads: int, bias: bool = False, side: int = 4) -> Module:
    return Module(Call(create, "dot_product", channels, heads=heads, bias=bias), ((1, channels, side, side),))


def parameters_by_heads() -> Finding:
    counts = [parameters(_multi_head(512, heads)) for heads in HEADS]
    return Finding(max(counts) - min(counts), f"{counts[0]:,} each")


def _table_3() -> dict[str, dict[str, Any]]:
    return {row["row"]: row for row in load("dot_product").rows("table-3")}


def _counted_rows() -> list[dict[str, Any]]:
    return [row for row in _table_3().values() if row["params_M"] is not None]


def table_3_rows() -> Finding:
    off: dict[str, list[str]] = {where: [] for where in _tokens()}
    for (where, tokens), row in product(_tokens().items(), _counted_rows()):
        counted = parameters(_model(row, tokens)) / 1e6
        if abs(counted - row["params_M"]) > printed_tolerance(row["params_M"], 0):
            off[where].append(f"{row['row']} {counted:.1f} for {row['params_M']}")
    note = "; ".join(
        f"with the {tokens:,} of the {where}: {', '.join(off[where])}" for where, tokens in _tokens().items()
    )
    return Finding(len(off["text"]), note, otherwise=len(off["released code"]))


def vocabulary() -> Finding:
    ends = {}
    for row in _counted_rows():
        layers, width = parameters(_model(row, tokens=0)), row["width"] or _table_3()["base"]["width"]
        ends[row["row"]] = [((row["params_M"] + half) * 1e6 - layers) / width for half in (-0.5, 0.5)]
    big = ends.pop("big")
    fewest, most = max(low for low, _ in ends.values()), min(high for _, high in ends.values())
    note = (
        f"{fewest:,.0f} to {most:,.0f} tokens give all ten; the released code has {_tokens()['released code']:,}; the "
        f"big model would need {big[0]:,.0f} to {big[1]:,.0f}"
    )
    return Finding((fewest + most) / 2, note)


def _table_2() -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in load("dot_product").rows("table-2")}


def _before(column: str, ensembles: bool = True) -> dict[str, float]:
    """What Table 2 has in a column for models before the Transformer."""
    return {
        model: row[column]
        for model, row in _table_2().items()
        if row[column] is not None and not model.startswith("Transformer") and (ensembles or "Ensemble" not in model)
    }


class _Recurrent(nn.Module):
    """The products of a recurrent layer, word after word; with four gates those of an LSTM.

    What becomes of the gates is elementwise and of no consequence here.
    """

    def __init__(self, width: int, gates: int = 1) -> None:
        super().__init__()
        self.gates = gates
        self.input = nn.Linear(width, gates * width, bias=False)
        self.state = nn.Linear(width, gates * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, 0])
        for word in x.unbind(1):
            state = torch.tanh(self.input(word) + self.state(state)).unflatten(1, (self.gates, -1)).mean(1)
        return state


def _recurrent(length: int, width: int, gates: int = 1) -> int:
    return multiply_adds(Module(Call(_Recurrent, width, gates), ((1, length, width),)))


def _self_attention(side: int, width: int) -> tuple[int, int]:
    """Multiply-adds of a layer for side x side positions, and of the scores and weighted sums in it."""
    module = _multi_head(width, 1, side=side)
    return multiply_adds(module), work(module)["macs"]["attention"]


def _restricted(window: int, side: int, width: int) -> tuple[int, int]:
    """The same for attention to window x window pixels, without the scores of relative positions."""
    layer = Call(create, "sasa", width, kernel_size=window, heads=1, positions="none")
    module = Module(layer, ((1, width, side, side),))
    return multiply_adds(module), work(module)["macs"]["matmul"]


def _exponents(counts: dict[tuple[int, ...], int]) -> list[float]:
    """Least-squares fit of count = c n^a d^b ..., of which a, b ... are returned; the sizes are the keys."""
    sizes = torch.tensor(list(counts), dtype=torch.float64).log()
    logs = torch.tensor(list(counts.values()), dtype=torch.float64).log()
    with_constant = torch.cat([sizes, torch.ones(len(sizes), 1, dtype=torch.float64)], 1)
    return torch.linalg.lstsq(with_constant, logs[:, None]).solution[:-1, 0].tolist()


def _deviation(found: list[float], *stated: int) -> float:
    return max(abs(a - b) for a, b in zip(found, stated, strict=True))


def _whole_and_products(
    sizes: dict[tuple[int, ...], tuple[int, int]], names: tuple[str, ...], stated: tuple[int, ...]
) -> Finding:
    """Of the whole layer; otherwise of the scores and weighted sums alone."""
    whole, products = (_exponents({size: counts[i] for size, counts in sizes.items()}) for i in (0, 1))

    def words(exponents: list[float]) -> str:
        return ", ".join(f"{name}^{exponent:.2f}" for name, exponent in zip(names, exponents, strict=True))

    note = f"the whole layer as {words(whole)}; without its projections as {words(products)}"
    return Finding(_deviation(whole, *stated), note, otherwise=_deviation(products, *stated))


def cost_self_attention() -> Finding:
    sizes = {(side**2, width): _self_attention(side, width) for side in (4, 8, 16) for width in (64, 256, 512)}
    return _whole_and_products(sizes, ("n", "d"), (2, 1))


def cost_restricted() -> Finding:
    grid = product((3, 5, 7), (8, 12), (32, 64))
    sizes = {(window**2, side**2, width): _restricted(window, side, width) for window, side, width in grid}
    return _whole_and_products(sizes, ("r", "n", "d"), (1, 1, 1))


def cost_recurrent() -> Finding:
    counts = {(n, d): _recurrent(n, d) for n in (16, 32, 64) for d in (32, 64)}
    return Finding(_deviation(_exponents(counts), 1, 2), f"{counts[16, 32] // (16 * 32**2)} n d^2")


def cost_convolutional() -> Finding:
    def count(kernel: int, length: int, width: int) -> int:
        layer = Call(nn.Conv1d, width, width, kernel, padding=kernel // 2)
        return multiply_adds(Module(layer, ((1, width, length),)))

    counts = {sizes: count(*sizes) for sizes in product((3, 5, 7), (16, 64), (32, 64))}
    return Finding(_deviation(_exponents(counts), 1, 1, 2), f"{counts[3, 16, 32] // (3 * 16 * 32**2)} k n d^2")


def equal_at_two_d() -> Finding:
    whole, products = _self_attention(side=12, width=72)
    return Finding(products / (whole - products), f"{products:,} each for n = 144 and d = 72")


def faster_than_recurrent() -> Finding:
    sides, width = (4, 8, 12, 16, 22), 512  # the longest are 484 positions
    attention = {side**2: _self_attention(side, width)[0] for side in sides}
    plain, lstm = (
        sum(count > n * _recurrent(1, width, gates) for n, count in attention.items()) / len(sides) for gates in (1, 4)
    )
    note = (
        f"more than the plain recurrent layer of Table 1 at {plain:.0%} of the lengths, than an LSTM at {lstm:.0%}: "
        "2 n^2 d + 4 n d^2 against 2 n d^2 and 8 n d^2"
    )
    return Finding(plain, note, otherwise=lstm)


def computation_by_heads() -> Finding:
    counts = [work(_multi_head(512, heads)) for heads in HEADS]
    macs = [sum(count["macs"].values()) for count in counts]
    softmax = [count["elementwise"]["softmax"] for count in counts]
    note = f"{macs[0]:,} each for 16 positions; the softmax works on {softmax[0]:,} to {softmax[-1]:,} scores"
    return Finding(max(macs) - min(macs), note)


def additive_complexity() -> Finding:
    width = 32

    def quadratic(count: Callable[[int], int]) -> float:
        """b of count(n) = a n + b n^2."""
        return (count(36) / 36 - count(16) / 16) / 20

    def additive(n: int) -> int:
        layer = Call(AdditiveAttention, width, width, width)
        return multiply_adds(Module(layer, ((1, n, width), (1, n, width))))

    ours = quadratic(lambda n: _self_attention(round(n**0.5), width)[0])
    theirs = quadratic(additive)
    return Finding(theirs / ours, f"{theirs:g} n^2 against {ours:g} n^2 for widths of {width}")


def _separable(length: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(width, width, length, groups=width, padding="same"), nn.Conv1d(width, width, 1))


def _point_wise(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1))


def separable() -> Finding:
    kinds: dict[str, list[int]] = {"the convolution": [], "attention and network": []}
    sizes = list(product((3, 5, 7), (32, 64)))
    for side, d in sizes:
        kinds["the convolution"].append(multiply_adds(Module(Call(_separable, side**2, d), ((1, d, side**2),))))
        network = multiply_adds(Module(Call(_point_wise, d), ((1, d, side, side),)))
        kinds["attention and network"].append(_self_attention(side, d)[0] + network)
    n, d = torch.tensor([(side**2, d) for side, d in sizes], dtype=torch.float64).T
    terms, residuals, notes = torch.stack([n**2 * d, n * d**2], 1), [], []
    for kind, counts in kinds.items():
        target = torch.tensor(counts, dtype=torch.float64)[:, None]
        fit = torch.linalg.lstsq(terms, target).solution
        residuals.append(largest((terms @ fit - target) / target))
        notes.append(f"{kind} {fit[0].item():.0f} n^2 d + {fit[1].item():.0f} n d^2")
    return Finding(max(residuals), "; ".join(notes))


def _reach(layer: Callable[[Tensor], Tensor], length: int, channels: int = 4) -> Tensor:
    """Which positions (columns) each position (row) of a layer's output depends on, for a map of one row."""
    x = normal(1, channels, 1, length).requires_grad_()
    outputs = layer(x).sum((0, 1, 2))
    rows = [torch.autograd.grad(output, x, retain_graph=True)[0].abs().sum((0, 1, 2)) for output in outputs]
    return torch.stack(rows) > 0


def _layers_between_ends(reaches: Iterable[Tensor]) -> int:
    """How many of these layers it takes until the last position depends on the first."""
    depends = None
    for layers, reach in enumerate(reaches, start=1):
        depends = reach if depends is None else (reach.double() @ depends.double()) > 0
        if depends[-1, 0]:
            return layers
    raise ValueError("the ends are not connected")


def path_self_attention() -> Finding:
    with seeded():
        layer = create("dot_product", 4, heads=2).double()
    return Finding(_layers_between_ends([_reach(layer, 27)]))


def path_convolutional() -> Finding:
    kernel, length = 3, 27

    def reach(dilation: int) -> Tensor:
        weight = torch.ones(1, 1, 1, kernel, dtype=torch.float64)
        before = ((kernel - 1) * dilation, 0)  # a position sees itself and earlier ones
        return _reach(lambda x: F.conv2d(F.pad(x, before), weight, dilation=dilation), length, channels=1)

    contiguous = _layers_between_ends(repeat(reach(1)))
    dilated = _layers_between_ends(reach(kernel**level) for level in range(length))
    note = f"{contiguous} with plain kernels, {dilated} with dilations 1, 3, 9"
    return Finding(contiguous, note, otherwise=dilated)


def path_restricted() -> Finding:
    with seeded():
        layer = create("sasa", 4, kernel_size=5, heads=1).double()
    layers = {(length - 1,): _layers_between_ends(repeat(_reach(layer, length))) for length in (9, 17, 33)}
    note = ", ".join(f"{count} layers for n = {distance + 1}" for (distance,), count in layers.items())
    return Finding(_exponents(layers)[0], note)


def variance() -> Finding:
    return _variance_of_scores(scale=1.0)


def _variance_of_scores(scale: float | None) -> Finding:
    """Of all vectors of ones and minus ones; the scores of a query sum to zero, so that its weights give them back."""
    vectors = torch.tensor(list(product((-1.0, 1.0), repeat=8)), dtype=torch.float64)
    logs = attention_weights(vectors, vectors, scale=scale).log()
    scores = logs - logs.mean(1, keepdim=True)
    return Finding(scores.square().mean().item(), f"{scores.numel():,} products")


def small_gradients() -> Finding:
    query, key = normal(80, 512).split((64, 16))

    def mean_gradient(scale: float | None) -> float:
        weights = attention_weights(query, key, scale=scale)
        jacobians = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None]
        return jacobians.flatten(1).norm(dim=1).mean().item()

    scaled, plain = mean_gradient(None), mean_gradient(1.0)
    note = f"norm of the softmax's derivative {plain:.1e} without the scale, {scaled:.1e} with it, for 16 keys"
    return Finding(float(plain < scaled), note)


def _code(channels: int = 64) -> Tensor:
    return sinusoidal(64, channels, like=torch.zeros((), dtype=torch.float64))


def position_shift() -> Finding:
    sine, cosine = _code()[:, 0::2], _code()[:, 1::2]
    deviations = []
    for k in range(1, 32):
        # The code of k has the sines and cosines of the angles that the pairs turn by.
        shifted_sine = cosine[k] * sine[:-k] + sine[k] * cosine[:-k]
        shifted_cosine = cosine[k] * cosine[:-k] - sine[k] * sine[:-k]
        deviations += [largest(shifted_sine - sine[k:]), largest(shifted_cosine - cosine[k:])]
    return Finding(max(deviations))


def wavelengths() -> Finding:
    width = 512
    longest = 1 / _code(width)[1, -2].asin().item()
    # With exponents i / (d / 2 - 1) in place of 2 i / d the last one is 1.
    stretched = longest ** (width / (width - 2))
    note = (
        f"{longest:,.1f} by the formula, whose last exponent is 510 / 512; {stretched:,.1f} as the released code has it"
    )
    return Finding(longest, note, otherwise=stretched)


def key_size() -> Finding:
    base, *rows = (row for name, row in _table_3().items() if name == "base" or name.startswith("(B)"))
    return Finding(sum(row["bleu"] >= base["bleu"] or row["ppl"] <= base["ppl"] for row in rows))


def bigger_is_better() -> Finding:
    base, *rows = (row for name, row in _table_3().items() if name == "base" or name.startswith("(C)"))

    def exceptions(better: Callable[[dict[str, Any]], bool]) -> list[str]:
        return [row["row"] for row in rows if (row["params_M"] > base["params_M"]) != better(row)]

    by_bleu = exceptions(lambda row: row["bleu"] > base["bleu"])
    by_perplexity = exceptions(lambda row: row["ppl"] < base["ppl"])
    note = f"in BLEU {', '.join(by_bleu)}; in perplexity {', '.join(by_perplexity) or 'none'}"
    return Finding(len(by_bleu), note, otherwise=len(by_perplexity))


def beyond_ensembles() -> Finding:
    gain = _table_2()["Transformer (big)"]["bleu_en_de"] - max(_before("bleu_en_de").values())
    return Finding(max(0.0, 2.0 - gain), f"{gain:.2f} better")


def base_beyond_all() -> Finding:
    base = _table_2()["Transformer (base)"]
    as_good = [model for model, bleu in _before("bleu_en_de").items() if bleu >= base["bleu_en_de"]]
    as_cheap = [model for model, cost in _before("flops_en_de").items() if cost <= base["flops_en_de"]]
    share = base["flops_en_de"] / min(_before("flops_en_de").values())
    return Finding(len(as_good) + len(as_cheap), f"{share:.2f} of the cheapest cost")


def _alignment(targets: int, sources: int = 30) -> Module:
    """The alignment network for some words of the target and of the source."""
    return Module(Call(AdditiveAttention, 1000, 2000, 1000), ((1, targets, 1000), (1, sources, 2000)))


def additive_once() -> Finding:
    first = multiply_adds(_alignment(1))
    further = multiply_adds(_alignment(2)) - first
    return Finding(
        further - (1000 * 1000 + 30 * 1000 + 30 * 2000), f"{first:,} for the first word, {further:,} more each"
    )


def _bahdanau(column: str) -> dict[str, float]:
    return column_of("dot_product", "bahdanau-table-1", "model", column)


def phrase_based() -> Finding:
    bleu = _bahdanau("no_unk")
    short, longer = (bleu["Moses"] - bleu[name] for name in ("RNNsearch-50", "RNNsearch-50 trained longer"))
    note = f"{short:.2f} short of it, trained longer {-longer:.2f} better"
    return Finding(max(0.0, short), note, otherwise=max(0.0, longer))


def glimpses() -> Finding:
    rows = load("dot_product").rows("ram")
    pairs = [(a, b) for a, b in product(rows, rows) if a["dataset"] == b["dataset"] and a["glimpses"] < b["glimpses"]]
    columns = ("paper_err", "reimplementation_err")
    return Finding(sum(b[column] >= a[column] for (a, b), column in product(pairs, columns)), f"{len(pairs)} pairs")
