"""The list of slips fits the sources; whether each is caught, `make mutants` tells."""

import ast

import pytest

from attnlib import list_modules
from tests.mutants.run import REPOSITORY, keys, mutants

SLIPS = [mutant for key in keys() for mutant in mutants(key)]


@pytest.mark.parametrize("mutant", SLIPS, ids=lambda mutant: f"{mutant.key}: {mutant.slip}")
def test_a_slip_changes_what_the_file_computes(mutant):
    original = (REPOSITORY / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.source())) != ast.dump(ast.parse(original))


def test_there_are_sixty_and_each_module_has_some():
    assert len(SLIPS) >= 60
    assert {mutant.key for mutant in SLIPS} >= {*list_modules()}


def test_no_slip_is_listed_twice():
    assert len({(mutant.file, mutant.find, mutant.replace) for mutant in SLIPS}) == len(SLIPS)
