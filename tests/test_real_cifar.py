"""Real input: on a slice of CIFAR-10 a module is worth more than its branch cut off.

Two runs of about a minute and a half are repeated here; what other modules reached is read from the records on file.
"""

import pytest

from attnlib.data import load
from attnlib.data.cifar import MissingDataError
from attnlib.results import records
from attnlib.training import Recipe, train

ON_FILE = records("cifar10-slice")
ZERO_GATE = "constant(value=0.0)"
MODULES = sorted({record.recipe.label for record in ON_FILE if record.recipe.attention not in (None, "constant")})


def accuracies(label):
    return [record.final.accuracy for record in ON_FILE if record.recipe.label == label]


@pytest.mark.cifar
@pytest.mark.parametrize("label", [ZERO_GATE, "se"])
def test_a_run_repeats_what_is_on_file(label):
    try:
        load("cifar10", "train")
    except MissingDataError as error:
        pytest.skip(str(error))
    attention, arguments = ("constant", {"value": 0.0}) if label == ZERO_GATE else (label, {})
    accuracy = train(Recipe.named("cifar10-slice", attention=attention, attention_args=arguments)).record.final.accuracy
    # Another processor sums in another order, and so short a run carries that on as another seed would.
    assert min(accuracies(label)) - 0.03 < accuracy < max(accuracies(label)) + 0.03


@pytest.mark.parametrize("label", MODULES)
def test_module_beats_the_zero_gate_by_five_points(label):
    gain = min(accuracies(label)) - max(accuracies(ZERO_GATE))
    # Six layers of SASA do not learn in so short a time; benchmarks/sasa_gradients.py has what their gradients do.
    assert gain < 0 if label == "sasa(placement=layer3.*.conv?)" else gain > 0.05
