"""Where evidence comes from: the commit, the kind of machine and the versions of a run.

Nothing here names a particular machine: no host, no user, no absolute path.
"""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

EVIDENCE, RESULTS = "src/chiasm/catalogue/evidence", "results"


def commit(root: Path) -> tuple[str, bool]:
    """`(commit, clean)` of the checkout at `root`; what evidence and benchmarks write never soils
    it.
    """
    head = git(root, "rev-parse", "HEAD")
    changes = git(root, "status", "--porcelain", "--", ".", f":!{EVIDENCE}", f":!{RESULTS}")
    return head or "uncommitted", bool(head) and changes == ""


def git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails or is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor() -> str:
    """The processor's model name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """The kind of machine: processor, cores that this process may use, accelerator if any."""
    usable = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable else os.cpu_count()
    torch = sys.modules.get("torch")  # a run that never loaded torch used no accelerator
    gpu = f", {torch.cuda.get_device_name()}" if torch and torch.cuda.is_available() else ""
    return f"{processor()}, {cores} cores{gpu}"


def machine_file() -> str:
    """The processor and its cores as a file name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{processor()} {os.cpu_count()} cores".lower()).strip("-")


def versions() -> dict[str, str]:
    """The versions of Python and, where installed, of torch and transformers."""
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def measured_by(script: Path) -> dict[str, Any]:
    """What the result of a script, in a folder of its checkout, says of the run that measured it.

    `clean`: the commit is all of the code. `load_average`: processes that wanted a core in the last
    minute. Threads are torch's.
    """
    script = script.resolve()
    root = script.parents[1]
    head, clean = commit(root)
    torch = sys.modules.get("torch")
    return {
        "command": shareable(["python", str(script), *sys.argv[1:]], root),
        "commit": head,
        "clean": clean,
        "date": date.today().isoformat(),
        "machine": machine(),
        "threads": torch.get_num_threads() if torch else 1,
        "load_average": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }


def shareable(arguments: Iterable[str], root: Path) -> str:
    """A command line without this machine's paths: inside `root` relative, elsewhere the name."""
    return shlex.join(relative(str(argument), root) for argument in arguments)


def relative(argument: str, root: Path) -> str:
    """One argument, `--option=PATH` included, with an absolute path cut down."""
    option, equals, value = argument.rpartition("=")
    path = Path(value)
    if not path.is_absolute():
        return argument
    short = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return f"{option}{equals}{short.as_posix()}"
