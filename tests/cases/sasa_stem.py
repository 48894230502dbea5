"""The stem of stand-alone self-attention."""

from functools import partial

from tests.harness import Case
from tests.reference.sasa_stem import sasa_stem

_SYMBOLS = {
    "query.weight": "w_q",
    "key.weight": "w_k",
    "row": "row",
    "column": "column",
    "norm.weight": "norm.scale",
    "norm.bias": "norm.shift",
    "norm.running_mean": "norm.mean",
    "norm.running_var": "norm.variance",
    "norm.num_batches_tracked": "norm.batches",
}
_MIXTURE = {"block_row": "emb_row", "block_column": "emb_column", "mixture": "nu"}


def _case(kernel_size: int = 4, mixtures: int = 1, **options: str) -> Case:
    symbols = _SYMBOLS | {f"value.{m}.weight": f"w_v.{m}" for m in range(mixtures)}
    if options.get("values", "aware") == "aware":
        symbols |= _MIXTURE
        options["mixtures"] = mixtures
    return Case(
        "sasa_stem",
        3,
        partial(sasa_stem, heads=3, side=kernel_size, kernel=options.get("values") == "convolution"),
        symbols,
        {"out_channels": 6, "heads": 3, "kernel_size": kernel_size, **options},
        ((2, 9, 7), (1, 13, 11), (3, 5, 6)),  # two blocks a side, which exports need
        gate_range=None,
        rows_sum_to_one=True,
        keeps_shape=False,
        keeps_type=False,
        pixels_alike=False,
        half=0.1,  # rounding the projections moves logits that nothing scales down
    )


CASES = [
    _case(mixtures=3),
    _case(kernel_size=3, mixtures=2),
    _case(values="plain"),
    _case(values="convolution"),
    _case(kernel_size=3, values="convolution"),
]
