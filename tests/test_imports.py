"""What an import loads, seen from a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "captum",
    "fvcore",
    "lightning",
    "lightning_fabric",
    "matplotlib",
    "pandas",
    "pydantic",
    "rich",
    "seaborn",
    "timm",
    "torchvision",
    "typer",
}
KEYS = ("constant", "nam", "sa", "se")


def loaded(*steps: str) -> list[set[str]]:
    """Names of all modules that one interpreter has loaded after each of the statements."""
    report = "print(json.dumps(sorted(sys.modules)))"
    script = "\n".join(["import json, sys", *(line for step in steps for line in (step, report))])
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in result.stdout.splitlines()]


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def stages() -> dict[str, set[str]]:
    """What is loaded after the import, after listing, and after creating each module in turn."""
    describe = "[attnlib.info(key) for key in attnlib.list_modules()]"
    creations = [f"attnlib.create({key!r}, 256)" for key in KEYS]
    return dict(zip(("import", "describe", *KEYS), loaded("import attnlib", describe, *creations), strict=True))


def test_the_package_itself_loads_nothing(stages):
    assert not {"torch", "numpy"} & packages(stages["import"])


def test_a_look_at_modules_loads_torch_and_nothing_heavier(stages):
    assert "torch" in stages["describe"]
    assert not HEAVY & packages(stages["describe"])


def test_plots_load_what_draws_and_nothing_heavier():
    (names,) = loaded("import attnlib, attnlib.plots; [getattr(attnlib.plots, name) for name in attnlib.plots.__all__]")
    assert {"matplotlib", "pandas", "seaborn"} <= packages(names)
    assert "torch._dynamo" not in names
    assert not {"captum", "fvcore", "lightning", "lightning_fabric", "torchvision"} & packages(names)


def test_who_reads_of_a_paper_waits_for_no_network():
    (names,) = loaded("import attnlib; se = attnlib.paper('se'); se.verdicts(), se.costs(), se.recipes")
    assert not {"torch", "matplotlib"} & packages(names)


def test_who_reads_of_a_paper_opens_nothing_of_another():
    notes = "opened = []; sys.addaudithook(lambda name, args: name == 'open' and opened.append(str(args[0])))"
    reads = "import attnlib; se = attnlib.paper('se'); [se.code_of(each.id) for each in se.verdicts()]"
    report = "print(json.dumps([opened, [name for name in sys.modules if name.endswith('.claims')]]))"
    script = "\n".join(["import json, sys", notes, reads, "se.costs(), se.recipes", report])
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    opened, claims = json.loads(result.stdout)
    rooms = {path.parent for path in map(Path, opened) if path.suffix in (".yml", ".json", ".toml")}
    assert {(room.parent if room.name == "recipes" else room).name for room in rooms} == {"se"}
    assert claims == [], "the checks are for who judges anew"


def test_a_network_is_loaded_when_it_is_asked_for():
    start = "from attnlib.networks import attach, create, list_networks; len(list_networks())"
    listed, built = loaded(start, "create('resnet20', 10, 'se')")
    assert not {"attnlib.networks.cifar_resnet", "torchvision"} & listed
    files = {name for name in built if name.startswith(("attnlib.networks.", "attnlib.self_", "attnlib.scale_"))}
    networks = {
        f"attnlib.networks.{name}"
        for name in ("attachment", "cifar_resnet", "maps", "parts", "placement", "structure", "wrappers", "zoo")
    }
    assert files == networks | {"attnlib.scale_attention", "attnlib.scale_attention.se"}


def test_listing_and_describing_load_no_module(stages):
    assert not {name for name in stages["describe"] if name.startswith(("attnlib.scale_", "attnlib.self_"))}


def test_creating_a_module_loads_its_file_and_no_other_module_s(stages):
    for position, key in enumerate(KEYS):
        files = {
            name for name in stages[key] if name.startswith(("attnlib.scale_attention.", "attnlib.self_attention."))
        }
        created = {f"attnlib.scale_attention.{created}" for created in KEYS[: position + 1]}
        shared = {"attnlib.scale_attention.norms"}  # what several modules are made of
        assert files - shared == created
    assert not HEAVY & packages(stages[KEYS[-1]])


def test_training_counts_and_explains_nothing():
    (names,) = loaded("import attnlib.training.loop")
    assert "attnlib.networks" in names
    assert not {"captum", "fvcore", "matplotlib"} & packages(names)


def test_who_reads_records_waits_for_no_training():
    (names,) = loaded("from attnlib.results import report; from attnlib.training import Recipe")
    assert not packages(names) & {"lightning_fabric", "torchvision", "pandas", "matplotlib"}
    assert "attnlib.training.loop" not in names
