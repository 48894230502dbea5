"""The sentences of the landing page are what the data say."""

import re

import findings
import ledger_page
import pytest

import attnlib

NUMBER = re.compile(r"(?<![\w-])\d[\d,]*(?:\.\d+)?")


@pytest.mark.parametrize("found", findings.FINDINGS, ids=lambda found: found.text[:40])
def test_a_sentence_of_the_landing_page_is_so(found):
    attnlib.finding(found.text, *found.values())


@pytest.mark.parametrize("id", ledger_page.TOLD)
def test_the_numbers_of_a_sentence_of_the_ledger_are_those_of_its_claim(id):
    (v,) = attnlib.paper(id.partition("-")[0]).verdicts(id)
    texts = NUMBER.findall(" ".join((v.claim, v.unit, v.note)))
    known = [v.published, v.measured, *(float(text.replace(",", "")) for text in texts)]
    known += [value / 1e6 for value in known]
    for text in NUMBER.findall(ledger_page.TOLD[id]):
        decimals = len(text.partition(".")[2])
        assert any(f"{value:.{decimals}f}" == text.replace(",", "") for value in known), f"{text} is not in {known}"
