"""Where a student's code runs: without network, without sight of anything else, and within limits.

With bubblewrap (`bwrap`; Debian and Ubuntu have it) a run sees Python, the packages that the set lists, and a folder in
memory to write to. Without it a run is a process of another user, or of the same, with limits but with sight of this
machine: good for a teacher who knows the students, and said loudly.
"""

import contextlib
import json
import os
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from classroom.sets import kit_files

HERE = Path(__file__).parent
MIB = 2**20
LOOK = 0.5  # seconds between two looks at what a run holds
MOST_MESSAGES, MOST_LINE = 20_000, 4 * MIB
_END = b'{"at": "end"}'
FIRST_USER = 61_000  # users that own nothing: each run at the same time has one of its own, whose processes are counted


@dataclass(frozen=True)
class Limits:
    """What one run may take.

    Attributes:
        cell: seconds for a cell.
        call: seconds for one call of a function.
        run: seconds for all of it, starting Python included.
        submission: seconds for all runs of one submission: one that is stopped is tried again without what stopped it.
        memory: bytes of data, of one process and of all together.
        processes: threads included.
        disk: bytes of the folder it can write to.
        output: bytes that it may send to the judge.
    """

    cell: float = 60
    call: float = 10
    run: float = 180
    submission: float = 400
    memory: int = 3 * 1024 * MIB
    processes: int = 64
    disk: int = 64 * MIB
    output: int = 24 * MIB


class Unsafe(RuntimeError):
    """There is no way here to run a student's code without danger; the message has the way out."""


@dataclass(frozen=True)
class Run:
    """What came of one run.

    Attributes:
        messages: what the runner said, in order; anything in them may be forged.
        ended: "itself", or "time", "output", "memory", or "died" with what the system said.
    """

    messages: list[dict[str, Any]]
    ended: str


def run(job: dict[str, Any], packages: list[str], limits: Limits, slot: int = 0) -> Run:
    """Run one job of `runner` and collect what it says.

    Args:
        job: its cells and calls; folders and seconds are added here.
        packages: names of distributions that the code may import, as a student installs them.
        limits: where it is stopped.
        slot: 0, 1, ... for runs at the same time: their users differ.

    Raises:
        Unsafe: neither bubblewrap nor another user is to be had.
    """
    job = {**job, "seconds": {"cell": limits.cell, "call": limits.call}}
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        command, environment, options = _command(Path(folder), packages, limits, slot, job)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
            **options,
        )
        try:
            return _collect(process, json.dumps(job).encode(), limits)
        finally:
            _end(process)


def _collect(process: subprocess.Popen, job: bytes, limits: Limits) -> Run:
    """Give the job, read until it ends or a limit is reached."""
    end = time.monotonic() + limits.run
    received = bytearray()
    ended, looked = "itself", time.monotonic()
    os.set_blocking(process.stdin.fileno(), False)
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        while ready.get_map():
            left = end - time.monotonic()
            if left <= 0:
                ended = "time"
                break
            events = ready.select(min(left, LOOK))
            if time.monotonic() - looked > LOOK:
                if memory(process.pid) > limits.memory:
                    ended = "memory"
                    break
                looked = time.monotonic()
            for key, _ in events:
                if key.fileobj is process.stdin:
                    try:
                        job = job[os.write(key.fd, job[: 64 * 1024]) :]
                    except BrokenPipeError:
                        job = b""
                    if not job:
                        ready.unregister(process.stdin)
                        process.stdin.close()
                elif chunk := os.read(key.fd, MIB):
                    received += chunk
                    if _END in received[-2 * len(_END) :]:  # processes that it left behind are not waited for
                        ready.unregister(process.stdout)
                else:
                    ready.unregister(process.stdout)
            if process.stdout not in [key.fileobj for key in ready.get_map().values()]:
                break
            if len(received) > limits.output:
                ended = "output"
                break
    messages = list(_messages(received[: limits.output]))
    if ended == "itself" and not (messages and messages[-1].get("at") == "end"):
        ended = "died"
    return Run(messages, ended)


def _messages(received: bytes) -> Iterator[dict[str, Any]]:
    """As many, and as long, as honest runs send: small JSON can be large in memory."""
    for line in bytes(received).splitlines()[:MOST_MESSAGES]:
        if len(line) > MOST_LINE:
            continue
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):  # half a line at a limit, or something that is no message
            continue
        if isinstance(message, dict):
            yield message


def _end(process: subprocess.Popen) -> None:
    """Kill all that is left of a run; with bubblewrap the first process takes the others with it.

    Without it a process can leave the group, but not its parents, nor the user that it was given.
    """
    for pid in _below(process.pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()


def memory(pid: int) -> int:
    """Bytes that a process and all below it hold, what they share counted once; 0 where the system does not say.

    A limit of the system's binds one process at a time, and neither shared memory nor files without a name.
    """
    held, nameless = 0, {}
    for each in _below(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            held += int(text.partition("\nPss:")[2].split()[0]) * 1024
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{each}/fd"):
                found = os.stat(entry.path)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                    nameless[found.st_dev, found.st_ino] = found.st_blocks * 512
    return held + sum(nameless.values())


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            children[int(path.read_text().rpartition(")")[2].split()[1])].append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children[each]
    return found[1:]


# ---- the command ----


def _command(folder: Path, packages: list[str], limits: Limits, slot: int, job: dict[str, Any]):
    """(command, environment, options of Popen) for the runner; adds to the job where its packages are."""
    interpreter = Path(os.path.realpath(sys.executable))
    python = [str(interpreter), "-I", "-S", "-B"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    environment |= {"MPLBACKEND": "agg", "MPLCONFIGDIR": "/tmp", "CUDA_VISIBLE_DEVICES": ""}
    if bwrap := walled():
        job["folders"] = ["/judge", str(_site())]
        job["limits"] = _limits(limits, limits.processes)
        return [*_walls(bwrap, packages, limits, slot), *python, "/judge/runner.py"], environment, {}
    user = _other_user(slot)
    if user is not None and not _may_run(interpreter, user):
        raise Unsafe(
            f"bubblewrap is not here or may not be used, and {interpreter} cannot be run by another user than root; "
            "install bubblewrap (apt install bubblewrap), or use a Python outside root's home"
        )
    warnings.warn(
        "bubblewrap (bwrap) is not here or may not be used: submissions run as "
        + (f"user {user}" if user is not None else "this very user")
        + " within limits, but they can reach the network and read what that user can read. "
        "Install it: apt install bubblewrap",
        stacklevel=2,
    )
    home = folder / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    (folder / "kit").mkdir()
    for name, path in _judge_files().items():
        shutil.copy(path, folder / name)
    packages_here = folder / "packages"
    packages_here.mkdir()
    for entry in top_level(tuple(packages)):
        (packages_here / entry.name).symlink_to(entry)
    folder.chmod(0o755)
    job["folders"] = [str(folder), str(packages_here)]
    environment |= {"HOME": str(home), "MPLCONFIGDIR": str(home), "TMPDIR": str(home)}
    others = 0 if user is not None else _threads_of_this_user()
    job["limits"] = _limits(limits, limits.processes + others)
    options = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    return [*python, str(folder / "runner.py")], environment, options


def _limits(limits: Limits, processes: int) -> dict[str, int]:
    """For the runner, which sets them before it runs a line of the student's; they cannot be raised again."""
    return {
        "RLIMIT_CPU": int(limits.run) + 1,
        "RLIMIT_DATA": limits.memory,
        "RLIMIT_FSIZE": limits.disk,
        "RLIMIT_NPROC": processes,
        "RLIMIT_NOFILE": 128,
        "RLIMIT_CORE": 0,
    }


def _threads_of_this_user() -> int:
    """What counts already where a limit on processes counts all of a user's."""
    count = 0
    for task in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            if task.stat().st_uid == os.getuid():
                count += len(list(task.iterdir()))
    return count


def _other_user(slot: int) -> int | None:
    """A user that owns nothing, where this one may change; None for a plain user, who cannot."""
    if os.getuid() != 0:
        return None
    if not _may_change_user():
        raise Unsafe(
            "this is root, which no limit binds, and neither bubblewrap nor a change of user works here; install "
            "bubblewrap (apt install bubblewrap) or grade as a user without rights"
        )
    return FIRST_USER + slot


@cache
def _may_change_user() -> bool:
    try:
        subprocess.run(["true"], user=FIRST_USER, group=FIRST_USER, extra_groups=[], check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@cache
def _may_run(interpreter: Path, user: int) -> bool:
    """Whether a user that owns nothing can start this Python and read its packages."""
    try:
        look = ["-c", "import os, sys; os.listdir(sys.argv[1])", str(_site())]
        subprocess.run([interpreter, "-I", "-S", *look], user=user, group=user, extra_groups=[], check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _judge_files() -> dict[str, Path]:
    """Where the runner, and what it and the students' notebook import, stand: by their names in the sandbox."""
    kit = {f"kit/{name}": path for name, path in kit_files().items()}
    return {"runner.py": HERE / "runner.py", "wire.py": HERE / "wire.py", **kit}


def _walls(bwrap: str, packages: list[str], limits: Limits, slot: int) -> list[str]:
    """bubblewrap's arguments: what the run sees of this machine, all of it read-only but /tmp."""
    seen: list[str] = ["--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib32", "lib64", "bin", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            seen += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            seen += ["--ro-bind", str(path), str(path)]
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):
        seen += ["--ro-bind-try", path, path]
    site = _site()
    made: set[Path] = {Path("/"), Path("/usr")}
    base = Path(sys.base_prefix).resolve()
    if not base.is_relative_to("/usr"):
        seen += [*_folders(base.parent, made), "--ro-bind", str(base), str(base)]
        made.add(base)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(base)}))
    if own.is_dir():
        seen += ["--tmpfs", str(own)]  # what is installed beside Python itself is no student's package
    if site.is_relative_to(base):
        made.add(site)
    seen += _folders(site, made)
    for entry in top_level(tuple(packages)):
        seen += ["--ro-bind", str(entry), str(site / entry.name)]
    seen += _folders(Path("/judge/kit"), made)
    for name, path in _judge_files().items():
        seen += ["--ro-bind", str(path), f"/judge/{name}"]
    seen += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    seen += ["--perms", "1777", "--size", str(limits.disk), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"]
    return _alone(bwrap, seen, slot)


def _alone(bwrap: str, seen: list[str], slot: int) -> list[str]:
    """The command that builds these walls and gives up every right, that to build more of them included.

    Limits on processes do not bind root. So root builds the walls, becomes a user that owns nothing, and only then
    gives up the right to namespaces.
    """
    ways_out = ["--die-with-parent", "--new-session"]
    ways_out += [f"--unshare-{what}" for what in ("pid", "net", "ipc", "uts")]
    if os.getuid() != 0:
        return [bwrap, *ways_out, "--unshare-user", "--disable-userns", *seen]
    user = str(FIRST_USER + slot)
    rights = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    last = ["bwrap", "--unshare-user", "--disable-userns", "--dev-bind", "/", "/"]
    return [bwrap, *ways_out, *rights, *seen, *become, *last]


def _folders(path: Path, made: set[Path]) -> list[str]:
    """Arguments that make a folder and those above it, readable by all: bubblewrap's own would be root's alone."""
    arguments: list[str] = []
    for each in [*reversed(path.parents), path]:
        if each not in made and not each.is_relative_to("/usr"):
            made.add(each)
            arguments += ["--perms", "0755", "--dir", str(each)]
    return arguments


@cache
def walled() -> str | None:
    """Where bubblewrap is, if it can be used here: some containers and kernels forbid namespaces."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None
    seen = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    command = [*_alone(bwrap, seen, 0), "true"]
    works = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    return bwrap if works else None


def _site() -> Path:
    return Path(sysconfig.get_path("purelib"))


@cache
def top_level(packages: tuple[str, ...]) -> list[Path]:
    """What stands in site-packages for some distributions and all that they need.

    Raises:
        PackageNotFoundError: one that is asked for is not installed.
    """
    names, waiting = set[str](), list(packages)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in names:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if name in packages:
                raise
            continue  # one that a distribution needs on another platform
        names.add(name)
        for text in found.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    entries = set[Path]()
    for name in names:
        found = distribution(name)
        for file in found.files or []:
            if file.parts[0] != ".." and file.suffix != ".pth":
                entries.add(Path(found.locate_file(file.parts[0])))
    return sorted(entry for entry in entries if entry.exists() and entry.name != "__pycache__")
