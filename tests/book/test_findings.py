"""The sentences of the landing page are what the data say."""

import findings
import pytest

import attnlib


@pytest.mark.parametrize("found", findings.FINDINGS, ids=lambda found: found.text[:40])
def test_a_sentence_of_the_landing_page_is_so(found):
    attnlib.finding(found.text, *found.values())
