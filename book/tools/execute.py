"""Re-execute the stale notebooks, two at a time, and stamp them.

    python book/tools/execute.py                   the stale ones
    python book/tools/execute.py NOTEBOOK ...      these, whatever their stamp

A notebook is written only after its last cell has run and its outputs have been accepted. The lane comes from
ATTNLIB_LANE (smoke by default; full trains on CIFAR and takes as long as it takes).
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

import outputs
import pairs
import stamp
from chapters import REPOSITORY, chosen, kernel_environment, notebooks, read, write

AT_ONCE = 2
SMOKE_TIMEOUT = 120  # seconds for one cell; a whole chapter stays under a minute
TRACE = Path(__file__).with_name("trace.py")


class Refused(Exception):
    """A run whose outputs must not be written; the message says why."""


async def silently(client: NotebookClient, code: str) -> None:
    """Run code in the kernel without counting it as an input or showing anything."""
    reply = await client.kc.execute_interactive(code, silent=True, store_history=False, output_hook=lambda _: None)
    if reply["content"]["status"] != "ok":
        raise Refused("the tracing code failed in the kernel: " + "\n".join(reply["content"]["traceback"]))


async def execute(path: Path, repository: Path = REPOSITORY) -> float:
    """Run one notebook top to bottom in a fresh kernel of this Python, stamp it, write it; the seconds it took."""
    notebook = read(path)
    environment = kernel_environment()
    lane = environment["ATTNLIB_LANE"]
    client = NotebookClient(
        notebook,
        kernel_name="python3",  # ipykernel's own, which runs this very interpreter
        extra_arguments=["--log-level=ERROR"],  # it warns about TCP without encryption, on one machine
        timeout=SMOKE_TIMEOUT if lane == "smoke" else None,
        coalesce_streams=True,
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        given = {"__name__": "trace", "ROOT": str(repository), "REPORT": str(report)}
        async with client.async_setup_kernel(cwd=str(path.parent), env=environment):
            source = TRACE.read_text(encoding="utf-8")
            await silently(client, f"exec(compile({source!r}, 'trace.py', 'exec'), {given!r})")
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index)
            await silently(client, "__import__('sys').audit('attnlib.book.report')")
        seconds = time.perf_counter() - start
        facts = json.loads(report.read_text(encoding="utf-8"))
    outputs.normalise(notebook)
    notebook.metadata["stamp"] = stamp.make(notebook, facts, lane, seconds, repository)
    if refusals := outputs.problems(notebook, repository):
        raise Refused("\n".join(refusals))
    write(notebook, path)
    if path.with_suffix(".py").exists():
        path.with_suffix(".py").touch()  # as new as the notebook: nobody's edit, so nothing to bring together
    return seconds


async def execute_all(paths: list[Path], repository: Path = REPOSITORY) -> bool:
    """Run several notebooks, AT_ONCE at a time, and print how each went; True where all went well."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(path: Path) -> bool:
        name = path.relative_to(repository)
        async with turn:
            print(f"{name}: running", flush=True)
            try:
                seconds = await execute(path, repository)
            except (CellExecutionError, CellTimeoutError, DeadKernelError, Refused) as error:
                print(f"{name}: not written\n{error}", flush=True)
                return False
            print(f"{name}: {seconds:.1f} s", flush=True)
            return True

    return all(await asyncio.gather(*map(one, paths)))


def main() -> int:
    paths = chosen(sys.argv[1:])
    pairs.bring_together(paths or pairs.halves())
    paths = paths or [path for path in notebooks() if stamp.reasons(read(path))]
    return int(not asyncio.run(execute_all(paths)))


if __name__ == "__main__":
    sys.exit(main())
