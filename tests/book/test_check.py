import pytest

import check


def test_a_book_without_notebooks_is_refused(monkeypatch):
    monkeypatch.setattr(check, "notebooks", list)
    monkeypatch.setattr(check, "PARTS", {})
    with pytest.raises(SystemExit, match="no notebook below notebooks/"):
        check.main()
