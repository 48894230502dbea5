"""What the outputs of a committed notebook must not hold, and how they are brought into a form that repeats.

python book/tools/outputs.py [NOTEBOOK ...]     check the committed outputs; exit status 1 where one is refused
"""

import base64
import io
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from chapters import REPOSITORY, chosen, notebooks, read

LARGEST = 600_000
# Home and temporary folders of the usual systems, and the inside of an environment.
FOLDERS = r"/home/|/root/|/Users/|/tmp/|/var/folders/|[A-Z]:\\\\?Users\\|site-packages|dist-packages"
MACHINE_PATH = re.compile(rf"(?:{FOLDERS})[^\s\"'<>]*")  # starts at a fixed word: linear in the longest output
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def texts(output: NotebookNode) -> list[str]:
    """The text of an output as a reader sees it; pictures are left out, their base64 may hold anything."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return ["\n".join(output.traceback)]
    return [value for kind, value in output.data.items() if isinstance(value, str) and not kind.startswith("image/")]


def problems(notebook: NotebookNode, repository: Path = REPOSITORY) -> list[str]:
    """Why the outputs are refused, one sentence each."""
    found = []
    size = len(nbformat.writes(notebook).encode())
    if size > LARGEST:
        found.append(f"the notebook has {size:,} bytes, more than {LARGEST:,}; draw smaller or fewer figures")
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            text = "\n".join(texts(output))
            if output.output_type == "error":
                found.append(f"cell {number} ended in {output.ename}: {output.evalue}")
            elif match := MACHINE_PATH.search(text):
                found.append(f"cell {number} shows a path of this machine: {match.group()}")
            elif str(repository) in text:
                found.append(f"cell {number} shows a path of this machine: {repository}")
            elif match := ADDRESS.search(text):
                found.append(f"cell {number} shows an address in memory, which differs in every run: {match.group()}")
    return found


def normalise(notebook: NotebookNode) -> None:
    """Take out what differs from run to run or from one Python to another; the stamp keeps what is worth knowing."""
    language = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3", "mimetype": "text/x-python"}
    notebook.metadata["language_info"] = NotebookNode(language)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = NotebookNode(kernel)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])


def smaller(picture: str) -> str:
    """A drawing, as base64 of a PNG, in a third of the bytes by a palette; photographs and maps as they are."""
    drawing = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    if drawing.getcolors(maxcolors=4096) is None:
        return picture
    written = io.BytesIO()
    # Most of a drawing's colours are the smoothed edges of a few; none of them moves so far that an eye could tell.
    drawing.quantize(256, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def main() -> int:
    refused = False
    for path in chosen(sys.argv[1:]) or notebooks():
        for problem in problems(read(path)):
            print(f"{path.relative_to(REPOSITORY)}: {problem}")
            refused = True
    return int(refused)


if __name__ == "__main__":
    sys.exit(main())
