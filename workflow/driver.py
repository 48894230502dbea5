"""Train a table of runs one after another on one core, behind all other work, over days.

    python workflow/driver.py train NAME --minutes 150    go on; after 150 minutes no run is started
    python workflow/driver.py status NAME                 how far each round is
    python workflow/driver.py file NAME                   file complete rounds under attnlib/results/records

NAME is a file of workflow/experiments. A round is one seed of every row: the first seed of all comes before the second
of any, so that whatever there is compares. Within a round the cheapest rows come first, where `python -m
benchmarks.steps NAME` has measured them.

Stop it with Ctrl-C or SIGTERM, or pull the plug: the same command goes on from the last checkpoint. To pause it,
`touch runs/PAUSE`: the run that is under way saves a checkpoint and ends, which takes seconds and frees its memory;
`rm runs/PAUSE` lets it go on. It writes to `runs` alone, in the places where Snakemake trains the same runs, and of git
it only reads which commit this is.

A run whose loss is no longer finite would fail again each time: it counts as done, and is filed as a failed record. Any
other failure (a full disk, say) is told, and the run is tried again by the next command.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import plan
from filelock import FileLock, Timeout

from attnlib.errors import UnknownNameError
from attnlib.plain import in_terminal
from attnlib.results import measurements, store
from attnlib.training.provenance import commit
from attnlib.training.record import Record

_RECORDS = Path(__file__).parents[1] / "attnlib" / "results" / "records"
Costs = dict[tuple[str, str], float]
_LOOK_EVERY = 1.0  # seconds, for a pause or the end of a run
_INTERRUPTED = 130  # exit status of a run that was asked to stop


@dataclass(frozen=True)
class Places:
    """Where records are filed and where runs train."""

    records: Path
    runs: Path

    @property
    def pause(self) -> Path:
        """While this file exists, nothing is trained."""
        return self.runs / "PAUSE"

    def done(self, run: plan.Run) -> Record | None:
        """The run's record, filed or not yet, where training it again would change nothing.

        Raises:
            ValueError: a file that is no record, or one of another recipe; the message names it.
        """
        for path in (self.records / f"{run.path}.json", self.runs / run.path / "record.json"):
            if path.exists():
                record = Record.load(path)
                if fields := record.recipe.differing_fields(run.recipe):
                    raise ValueError(
                        f"{path} is of another recipe, which differs in {', '.join(fields)}; remove it, or give one of "
                        "the two recipes another name"
                    )
                if record.status == "finished" or record.diverged:
                    return record
        return None


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True, metavar="train | status | file")
    chosen = {
        name: what.add_parser(name, help=text, description=text)
        for name, text in (
            ("train", "Go on with the runs."),
            ("status", "Say how far each round is."),
            ("file", "File the records of complete rounds."),
        )
    }
    for each in chosen.values():
        each.add_argument("name", help="an experiment, e.g. cifar10-cpu")
        each.add_argument("--experiments", type=Path, default=plan.EXPERIMENTS, help="folder of experiment files")
        each.add_argument("--records", type=Path, default=_RECORDS, help="where finished runs are filed")
        each.add_argument("--runs", type=Path, default=Path("runs"), help="where they train")
    chosen["train"].add_argument("--minutes", type=float, default=float("inf"), help="start no run after so many")
    chosen["train"].add_argument(
        "--nice",
        type=int,
        choices=range(20),
        default=19,
        metavar="0..19",
        help="19, the default, takes what is left over",
    )
    chosen["file"].add_argument("--incomplete", action="store_true", help="also what there is of rounds not complete")
    given = parser.parse_args(arguments)
    try:
        runs = plan.named(given.name, given.experiments)
        places, planned = Places(given.records, given.runs), rounds(runs, _costs(given.name))
        if given.what == "status":
            return status(planned, places)
        if given.what == "file":
            return file(planned, places, given.incomplete)
        return _train_alone(planned, places, given.minutes, given.nice, _costs(given.name))
    except (ValueError, OSError) as error:
        print(in_terminal(f"error: {error}"), file=sys.stderr)
        return 2


def rounds(runs: list[plan.Run], costs: Costs) -> dict[int, list[plan.Run]]:
    """One seed of every row after another; within a round the rows that cost least first, as far as that is known."""
    by_seed: dict[int, list[plan.Run]] = {}
    for run in sorted(runs, key=lambda run: costs.get((run.recipe.name, run.recipe.label), 0.0)):
        by_seed.setdefault(run.recipe.seed, []).append(run)
    return {seed: by_seed[seed] for seed in dict.fromkeys(run.recipe.seed for run in runs)}


def status(planned: dict[int, list[plan.Run]], places: Places) -> int:
    """Print a line for each round."""
    for seed, runs in planned.items():
        there = [record for run in runs if (record := places.done(run))]
        filed = sum((places.records / f"{run.path}.json").exists() for run in runs)
        failed = [record.recipe.label for record in there if record.status == "failed"]
        _say(
            f"seed {seed}: {len(there)} of {len(runs)} runs are done, {filed} filed"
            + (f"; failed: {', '.join(failed)}" if failed else "")
        )
    return 0


def file(planned: dict[int, list[plan.Run]], places: Places, incomplete: bool = False) -> int:
    """File the records of complete rounds; 1 where a round is not complete."""
    lacking = 0
    for seed, runs in planned.items():
        there = [record for run in runs if (record := places.done(run))]
        missing = len(runs) - len(there)
        lacking += missing
        if not missing or incomplete:
            for record in there:
                _refuse_changes(record.provenance.commit)
                store(record, places.records)
        said = "filed" if not missing or incomplete else "not filed"
        _say(f"seed {seed}: {len(there)} of {len(runs)} runs are done; {said}")
    return int(lacking > 0)


def train(
    planned: dict[int, list[plan.Run]],
    places: Places,
    minutes: float,
    costs: Costs,
    one: Callable[[plan.Run, Places], int | None],
) -> int:
    """Train what is not done, until the minutes are over.

    Args:
        one: trains a run and gives its exit status, or None where it was paused.

    Returns:
        0 where every run is done, 1 where some are left.
    """
    began = time.monotonic()
    count, left = len(planned), {run.path: run for runs in planned.values() for run in runs if not places.done(run)}
    if left:
        _say(f"{len(left)} of {sum(map(len, planned.values()))} runs to train")
    for number, (seed, runs) in enumerate(planned.items(), 1):
        for place, run in enumerate(runs, 1):
            while run.path in left:
                _wait_while(places.pause.exists, began, minutes)
                if time.monotonic() - began > 60 * minutes:
                    _say(f"{minutes:g} minutes are over; {len(left)} runs are left: the same command goes on")
                    return 1
                where = f"round {number} of {count} (seed {seed}), run {place} of {len(runs)}: {run.path}"
                _say(f"{datetime.now():%d %b %H:%M} {where}{_estimate(left, planned, places, costs)}")
                ended = one(run, places)
                if ended is None:
                    _say("  paused")
                    continue
                _say(f"  {_outcome(run, places, ended)}")
                del left[run.path]
    failed = [run.path for runs in planned.values() for run in runs if not places.done(run)]
    _say(f"{len(failed)} runs could not be trained; the same command tries them again" if failed else "all are done")
    return int(bool(failed))


def _train_alone(planned: dict[int, list[plan.Run]], places: Places, minutes: float, nice: int, costs: Costs) -> int:
    _refuse_changes(commit())
    places.runs.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(places.runs / ".driver.lock", timeout=0):
            signal.signal(signal.SIGTERM, _interrupt)
            return train(planned, places, minutes, costs, partial(_one, nice=nice))
    except Timeout:
        raise ValueError(f"another driver is at work in {places.runs}; wait for its end or stop it") from None
    except KeyboardInterrupt:
        _say("stopped; the same command goes on")
        return _INTERRUPTED


def _one(run: plan.Run, places: Places, nice: int) -> int | None:
    """Train a run in a process of its own, which is stopped between two steps for a pause or with this process."""
    log = places.runs / f"{run.path}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = run.command(Path(sys.executable).with_name("attnlib"), places.runs / run.path, "cpu")
    paused = False
    with open(log, "a", encoding="utf-8") as text:
        process = subprocess.Popen(
            shlex.split(command),
            stdout=text,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C reaches it through this process alone, and once
        )
        try:
            _set_nice(process.pid, nice)
            while process.poll() is None:
                if places.pause.exists() and not paused:
                    paused = True
                    process.terminate()
                time.sleep(_LOOK_EVERY)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    stopped = process.returncode in (_INTERRUPTED, -signal.SIGTERM)  # the second before it could take the signal
    return None if paused and stopped else process.returncode


def _set_nice(pid: int, nice: int) -> None:
    """Lower the priority of a process that leads a session.

    Linux may share the cores out among sessions first and within each afterwards ("autogroup"). A nice value then
    counts within the session only, and the session has one of its own.
    """
    os.setpriority(os.PRIO_PROCESS, pid, nice)
    with contextlib.suppress(OSError):  # there is no such thing here
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def _say(text: str) -> None:
    print(in_terminal(text), flush=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse_changes(commit: str | None) -> None:
    if commit and commit.endswith("+changes"):
        raise ValueError(
            "the package has changes that are in no commit, so that nobody could repeat its runs; commit them, or "
            "train in a clone"
        )


def _wait_while(paused: Callable[[], bool], began: float, minutes: float) -> None:
    while paused() and time.monotonic() - began <= 60 * minutes:
        time.sleep(_LOOK_EVERY)


def _outcome(run: plan.Run, places: Places, ended: int) -> str:
    record = places.done(run)
    if record is None:
        return f"exit status {ended}, see {places.runs / run.path}.log; it is tried again by the next command"
    computed = record.provenance.cpu_seconds
    seconds = f"{record.provenance.seconds:.0f} s" + (f" ({computed:.0f} s of a core)" if computed else "")
    if record.final is None:
        return f"failed after {seconds}: {record.error}"
    return f"{seconds}, test accuracy {record.final.accuracy:.2%}"


def _estimate(left: dict[str, plan.Run], planned: dict[int, list[plan.Run]], places: Places, costs: Costs) -> str:
    """When all would be done, from what the runs so far took for what they cost."""
    done = [record for runs in planned.values() for run in runs if (record := places.done(run)) and record.final]
    spent = sum(record.provenance.seconds for record in done)
    if not done:
        return ""
    usual = sum(costs.values()) / len(costs) if costs else 1.0
    costing = [costs.get((each.recipe.name, each.recipe.label), usual) for each in (*done, *left.values())]
    seconds = spent / sum(costing[: len(done)]) * sum(costing[len(done) :])
    end = datetime.now() + timedelta(seconds=seconds)
    return f"; {len(left)} left, about {seconds / 3600:.1f} h, until {end:%d %b %H:%M}"


def _costs(name: str) -> Costs:
    """CPU seconds of a step by recipe and label, where `python -m benchmarks.steps NAME` has measured them."""
    try:
        rows = measurements(f"cpu-steps-{name}").rows
        return {(row["recipe"], row["attention"]): row["step_cpu_s"] for row in rows}
    except UnknownNameError:
        return {}


if __name__ == "__main__":
    sys.exit(main())
