"""A network of a table's row, written in one line."""

from types import ModuleType

import pytest

from attnlib.ledger import grammar
from attnlib.ledger.grammar import measurable
from attnlib.ledger.measure import Call, Network


def stride_first(model, stages=4): ...


def convolutions(model): ...


@pytest.fixture(autouse=True)
def claims(monkeypatch):
    """The claims.py of a paper that is none."""
    module = ModuleType("claims")
    module.stride_first, module.convolutions, module.detector = stride_first, convolutions, lambda depth: 100 * depth
    monkeypatch.setattr(grammar, "import_module", lambda name: module)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("resnet50", Network("resnet50")),
        ("resnet164[10] + iebn", Network("resnet164", "iebn", classes=10)),
        ("timm:resnet200", Network("timm:resnet200")),
        (
            "resnet50_v1 + se(reduction=8, bias=False) @ block-end",
            Network("resnet50_v1", "se", (("reduction", 8), ("bias", False)), placement="block-end"),
        ),
        (
            "resnet50_v1 + cbam(channel_pools=('avg', 'max'))",
            Network("resnet50_v1", "cbam", (("channel_pools", ("avg", "max")),)),
        ),
        ("mobilenet_v1 + cbam @ convolutions", Network("mobilenet_v1", "cbam", placement=convolutions)),
        ("resnet50 + se @ layer3.*", Network("resnet50", "se", placement="layer3.*")),
        ("resnet50_cifar[100] | stride_first", Network("resnet50_cifar", classes=100, change=stride_first)),
        ("resnet50 | stride_first(stages=2)", Network("resnet50", change=Call(stride_first, stages=2))),
        ("detector(50)", 5000),
        ("(SRM is not among the modules of attnlib)", "SRM is not among the modules of attnlib"),
    ],
)
def test_a_line_says_what_a_row_belongs_to(line, found):
    assert measurable(line, "toy") == found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("resnet5", "no network is called 'resnet5'; did you mean"),
        ("resnet50 + see", "no module is called 'see'; did you mean 'se'"),
        ("resnet50 + se | stride", "no function of the paper's claims.py or of the engine is called 'stride'"),
        ("detectors(50)", "is called 'detectors'; did you mean 'detector'"),
        ("resnet50+se", "toy: 'resnet50+se' is no network; write BACKBONE[CLASSES] + MODULE(ARGUMENTS)"),
        ("resnet50 + se(reduction 8)", "is no call: "),
        ("", "toy: '' is no network"),
    ],
)
def test_a_line_that_says_nothing_is_refused(line, message):
    with pytest.raises(ValueError, match=".") as error:
        measurable(line, "toy")
    assert message in str(error.value)
