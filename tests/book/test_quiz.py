"""A quiz becomes disclosures that need no script; one that is not well formed fails the build."""

import re

EXTENSIONS = ["quiz"]
QUIZ = """# A page

:::{quiz} What does $g_c$ depend on?
- [ ] On its own mean $z_c$ alone, and
  on nothing else.

  The hidden layer **mixes** the channels.

  So every gate sees all means.
- [ ] On nothing.

  It is computed.
- [x] On all means.

  ```python
  [x] = y  # no choice
  ```
:::

:::{quiz} Named?
:label: se-quiz-named
- [x] Yes

  It has a label.
- [ ] No

  It has one.
- [ ] It has two

  It has one.
:::
"""


def test_choices_are_disclosures_of_one_group(built):
    page, warnings = built(QUIZ, EXTENSIONS)
    assert warnings == ""
    choices = re.findall(r'<details class="quiz-choice quiz-(\w+)" name="([\w-]+)"><summary>(.*?)</summary>', page)
    assert [(word, name) for word, name, _ in choices] == [
        ("wrong", "quiz-1"),
        ("wrong", "quiz-1"),
        ("right", "quiz-1"),
        ("right", "se-quiz-named"),
        ("wrong", "se-quiz-named"),
        ("wrong", "se-quiz-named"),
    ]
    assert "and on nothing else." in choices[0][2]
    assert "mixes" not in choices[0][2]
    assert page.count("<details") == page.count("</details>") == 6
    assert 'id="se-quiz-named" role="group" aria-labelledby="se-quiz-named-question"' in page
    assert "<strong>mixes</strong>" in page


GOOD, OTHER = "- [x] Yes\n\n  So it is.\n", "- [ ] No\n\n  It is not so.\n"


def test_what_is_not_well_formed_is_an_error(built):
    broken = {
        "exactly one choice is right, and 0 of 3": OTHER * 3,
        "exactly one choice is right, and 2 of 4": GOOD + OTHER * 2 + GOOD,
        "three choices or more": GOOD + OTHER,
        "the choice 'Maybe' has no explanation": GOOD + OTHER + "- [ ] Maybe\n",
        "text before the first choice": "Well?\n\n" + GOOD + OTHER * 2,
    }
    page = "# A page\n\n" + "\n".join(f":::{{quiz}} Is it?\n{body}:::\n" for body in broken.values())
    _, warnings = built(page, EXTENSIONS)
    assert [message for message in broken if message not in warnings] == []
