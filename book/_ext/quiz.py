"""Sphinx extension: the directive `quiz`, one question with choices, of which exactly one is right.

    ```{quiz} What does a gate of SE depend on?
    - [ ] On the mean of its own channel alone.

      The hidden layer mixes the channels, so that every gate sees all means.
    - [x] On the means of all channels.

      Each hidden unit is a weighted sum of all means, and each gate of all hidden units.
    ```

A choice is a disclosure: choosing it shows whether it is right, and why. That is plain HTML, so that it works by
keyboard, with a screen reader and without JavaScript; of one question, one explanation is open at a time. On paper the
explanations stay closed. An option `:label:` gives the question an address.
"""

import re
from html import escape

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

CHOICE = re.compile(r"^- \[([ xX])\] +(?=\S)")
VERDICTS = {True: ("right", "Right."), False: ("wrong", "Not so.")}


class Quiz(SphinxDirective):
    """One question: the title asks, a task list gives the choices, the paragraphs under a choice explain it."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"label": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        choices = self.choices()
        name = nodes.make_id(self.options.get("label", "")) or f"quiz-{self.env.new_serialno('quiz') + 1}"
        question = nodes.paragraph(ids=[f"{name}-question"], classes=["quiz-question"])
        question += self.inline(self.arguments[0])
        body: list[nodes.Node] = [question]
        for number, (is_right, choice, explanation) in enumerate(choices):
            word, verdict = VERDICTS[is_right]
            letter = f'<span class="quiz-letter">{chr(ord("A") + number)}</span>'
            body += [
                html(f'<details class="quiz-choice quiz-{word}" name="{escape(name)}"><summary>{letter}<span>'),
                nodes.inline("", "", *self.inline(choice)),
                html(f'</span></summary><div class="quiz-why"><p class="quiz-verdict">{verdict}</p>'),
                *self.parsed(explanation),
                html("</div></details>"),
            ]
        opening = f'<div class="quiz" id="{escape(name)}" role="group" aria-labelledby="{escape(name)}-question">'
        return [html(opening), *body, html("</div>")]

    def choices(self) -> list[tuple[bool, str, StringList]]:
        """(whether it is right, its text, the lines of its explanation) for each choice.

        Raises:
            DirectiveError: fewer than three choices, not exactly one right, one without an explanation, or text before
                the first.
        """
        starts = [number for number, line in enumerate(self.content) if CHOICE.match(line)]
        if len(starts) < 3:  # of two, a guess is right half of the time
            raise self.error("a quiz has three choices or more: lines that begin with `- [ ] ` or `- [x] `")
        if any(line.strip() for line in self.content[: starts[0]]):
            raise self.error("text before the first choice; the question stands behind {quiz}")
        found = []
        for start, end in zip(starts, [*starts[1:], len(self.content)], strict=True):
            lines = self.content[start:end]
            mark = CHOICE.match(lines[0])
            blank = next((n for n, line in enumerate(lines) if not line.strip()), len(lines))
            choice = " ".join([lines[0][mark.end() :], *(line.strip() for line in lines[1:blank])])
            explanation = lines[blank:]
            if not any(line.strip() for line in explanation):
                raise self.error(f"the choice {choice!r} has no explanation: an indented paragraph after an empty line")
            explanation.trim_left(2)
            found.append((mark[1] != " ", choice, explanation))
        if (right := sum(is_right for is_right, _, _ in found)) != 1:
            raise self.error(f"exactly one choice is right, and {right} of {len(found)} are marked `- [x]`")
        return found

    def inline(self, text: str) -> list[nodes.Node]:
        parsed, messages = self.state.inline_text(text, self.lineno)
        return [*parsed, *messages]

    def parsed(self, lines: StringList) -> list[nodes.Node]:
        container = nodes.container()
        nested_parse_with_titles(self.state, lines, container, self.content_offset)
        return container.children


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict:
    app.add_directive("quiz", Quiz)
    app.add_css_file("quiz.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
