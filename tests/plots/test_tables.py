"""Tables are read by people and compared by nbval: the same frame gives the same HTML, and nothing is shown as nan."""

import pandas as pd

import attnlib
from attnlib import plots


def test_an_unchanged_table_is_unchanged_html():
    frame = pd.DataFrame({"model": ["a", "b"], "parameters": [1234567, 8], "error": [0.12345, None]})
    first, again = (plots.table(frame, "Costs").to_html() for _ in range(2))
    assert first == again
    assert first != plots.table(frame, "Other").to_html()


def test_figures_are_grouped_rounded_and_never_nan():
    frame = pd.DataFrame({"model": ["a", "b"], "parameters": [1234567, 8], "error": [1234.5678, None]})
    html = plots.table(frame, "Costs", digits=2).to_html()
    assert "1\u202f234\u202f567" in html and "1\u202f234.57" in html
    assert "nan" not in html.lower() and "–" in html


def test_numbers_stand_right_and_words_do_not():
    html = plots.table(pd.DataFrame({"model": ["a"], "n": [1]}), "Costs").to_html()
    assert "row0_col1" in html.split("text-align")[0] and "row0_col0" not in html.split("text-align")[0]


def test_the_plain_text_form_is_the_text_and_the_same_every_time():
    frame = pd.DataFrame({"model": ["a"], "n": [1]})
    text = repr(plots.table(frame, "Costs"))
    assert text.startswith("Costs\n") and "model" in text and "0x" not in text
    assert text == repr(plots.table(frame.copy(), "Costs"))


def test_five_significant_digits_where_sizes_mix():
    frame = pd.DataFrame({"value": [2514944.0, 28.0719761, 0.00045123456, 25.557740, -0.5, 0.0]})
    html = plots.table(frame, "Mixed", digits=None).to_html()
    for shown in ("2\u202f514\u202f944", "28.072", "0.00045123", "25.558", "-0.50000", ">0<"):
        assert shown in html


def test_a_published_cost_says_how_it_is_known():
    drawn = plots.costs(attnlib.paper("nam").costs(), "Costs")
    assert "second-hand" in set(drawn.data["known"])


def test_figures_that_were_all_read_need_no_column():
    drawn = plots.costs(attnlib.paper("se").costs(["Table 13"]), "Costs")
    assert list(drawn.data.columns) == ["printed in", "quantity", "printed", "recomputed", "agrees"]
