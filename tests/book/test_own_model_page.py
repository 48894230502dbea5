"""The page `own_model` as a reader would run it: all its blocks, one after the other, in an empty folder."""

import os
import re
import subprocess
import sys

from chapters import REPOSITORY


def test_the_page_runs_from_top_to_bottom(tmp_path):
    text = (REPOSITORY / "book" / "own_model.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^2 \['trunk\.0\.second[.1]*', 'trunk\.1\.second[.1]*'\]$", done.stdout, re.MULTILINE)
    assert (tmp_path / "costs.tex").read_text(encoding="utf-8").count(r"\\") == 6
    assert (tmp_path / "runs" / "eca-1" / "record.json").exists()
