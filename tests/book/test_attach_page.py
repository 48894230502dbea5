"""The page on attaching modules: its code runs from top to bottom."""

import re

from chapters import REPOSITORY


def test_its_code_runs():
    text = (REPOSITORY / "book" / "attach.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec("\n".join(code), names)
    assert [len(names["attached"]), names["attached"].blocks] == [18, 18]
    assert not names["cost"].unknown
