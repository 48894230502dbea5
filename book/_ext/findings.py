"""What the book found, for the landing page: sentences with their numbers, each with what these are by the data.

The page shows the sentences; `tests/book/test_findings.py` holds every one against the data, so that a changed record
or verdict names the sentence to mend. The first three are the hook, the others stand below the fold.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A sentence, the page that shows it, and what its numbers (then conditions) are by the data, when asked."""

    text: str
    page: str
    values: Callable[[], tuple]


def paper(key: str):
    import attnlib

    return attnlib.paper(key)


def measured(key: str, claim: str) -> float:
    return paper(key).verdicts(claim)[0].measured


def resnet50(module: str, column: str) -> float:
    """How much more ResNet-50 takes with a module, in per cent."""
    from attnlib.results import costs

    rows = costs().query("network == 'resnet50'").set_index("module")[column]
    return 100 * (rows[module] / rows["none"] - 1)


def step_time() -> float:
    times = paper("se").table("times").set_index("task").loc["forward and backward"]
    return 100 * (times.se_resnet50_ms / times.resnet50_ms - 1)


def recipe_and_se() -> tuple:
    return measured("se", "recipe-gain"), measured("se", "gain-resnet50")


def above_the_constant() -> tuple:
    """Modules, and those of them whose mean, and whose whole interval, lies above the constant gate of one half."""
    import attnlib
    from attnlib.results import records

    rows = [r for r in attnlib.report(records("cifar10-slice"), baseline="constant").rows if r.kind == "module"]
    return (len(rows), not any(row.student[0] > 0 for row in rows))


def first_gradient(replaced: int) -> float:
    """Of the first convolution, at the start, with so many SASA layers a block of ResNet-20's last stage."""
    from attnlib.results import measurements

    rows = measurements("sasa-gradients").rows
    wanted = {"replaced": replaced, "form": "as it is", "layer": "conv1", "seed": 0}
    (row,) = (row for row in rows if wanted.items() <= row.items())
    return row["gradient"]


def saved_by_attention() -> tuple[float, ...]:
    """Of ResNet-50's parameters and operations, by attention throughout, in per cent."""
    counted = paper("sasa").costs("Table 1").set_index(["row", "column"])["measured"]
    plain, full = counted["ResNet-50 Baseline"], counted["ResNet-50 Full Attention"]
    return tuple(100 * (1 - full[column] / plain[column]) for column in ("params_M", "flops_B"))


def in_note(key: str, claim: str, pattern: str) -> tuple[float, ...]:
    """The numbers that a pattern captures in the note of a verdict, where the figures behind it stand."""
    found = re.search(pattern, paper(key).verdicts(claim)[0].note)
    return tuple(float(number.replace(",", "")) for number in found.groups())


FINDINGS = (
    Found(
        "A longer recipe gives plain ResNet-50 1.50 points on ImageNet. Squeeze-and-Excitation gives it 1.51.",
        "notebooks/scale_attention/se",
        recipe_and_se,
    ),
    Found(
        "Shuffle attention adds 708 parameters to ResNet-50, and not the 300 that its paper prints.",
        "notebooks/scale_attention/sa",
        lambda: (measured("sa", "parameters-resnet50"), paper("sa").verdicts("parameters-resnet50")[0].published),
    ),
    Found(
        "In our short runs on CIFAR-10 no module is safely better than a gate that is one half for every image.",
        "notebooks/accuracy",
        lambda: above_the_constant()[1:],
    ),
    Found(
        "SE adds 0.06 % of multiply-adds to ResNet-50 and, by its own paper, 10 % of the time of a training step.",
        "notebooks/scale_attention/se",
        lambda: (resnet50("se", "macs"), step_time()),
    ),
    Found(
        "Stand-alone attention has 29.4 % fewer parameters and 12.2 % fewer operations; texts on it swap the two.",
        "notebooks/self_attention/sasa",
        saved_by_attention,
    ),
    Found(
        "A ResNet-20 with two attention layers in each block of its last stage hardly learns: "
        "its first gradient is 269 times as large as with convolutions.",
        "notebooks/self_attention/sasa",
        lambda: (first_gradient(2) / first_gradient(0),),
    ),
    Found(
        "ECA's paper prints 77.43 % for its three weights a block, and 77.42 % for a full matrix in their place.",
        "notebooks/scale_attention/eca",
        lambda: tuple(paper("eca").table("table-2").set_index("method")["top1"][["ECA", "SE-Var3 sigma(W y)"]]),
    ),
    Found(
        "NAM starts as a constant: its gates on 256 channels lie within 0.0048 of one half.",
        "notebooks/scale_attention/nam",
        lambda: (256, measured("nam", "initial-gate-256")),
    ),
    Found(
        "Finer extents do not add parameters to Gather-Excite: an extent of two takes 166,144, a global one 5,549,568.",
        "book/ledger/ge",
        lambda: in_note("ge", "finer-extents", r"; theta E2 ([\d,]+),.* global ([\d,]+)"),
    ),
    Found(
        "CBAM's \"negligible overhead\" is 9.91 % of ResNet-50's parameters.",
        "book/ledger/cbam",
        lambda: (resnet50("cbam", "parameters"),),
    ),
)


def listed(found: tuple[Found, ...]) -> str:
    return "\n".join(f"- {each.text} [Show me](/{each.page})" for each in found)


def hook() -> str:
    """The first three as cards, one under the other on a phone."""
    cards = "\n\n".join(
        f":::{{grid-item-card}}\n:link: /{f.page}\n:link-type: doc\n\n{f.text}\n:::" for f in FINDINGS[:3]
    )
    return f"::::{{grid}} 1 1 3 3\n:gutter: 3\n:class-container: hook\n\n{cards}\n::::"


def others() -> str:
    return listed(FINDINGS[3:])
