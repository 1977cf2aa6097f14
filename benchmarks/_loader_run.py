# SPDX-License-Identifier: BSD-3-Clause
"""One contestant in a fresh process: what the process does, and what is seen of it from outside.

``python -m benchmarks._loader_run FOLDER`` does the job that `run` has left in that folder.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._loader_peers import KINDS, Epoch

INTERVAL = 0.05  # seconds between two samples
ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """`what` is "verify" (keep the pixels), "time", or "memory" (checksums of the pixels)."""

    name: str
    what: str
    epoch: Epoch


# In the fresh process


def whole_batches(job: Job, batches: Iterable[Any]) -> Iterator[np.ndarray]:
    """Yield the batches as arrays; raise ValueError unless they are as many, and such, as was asked for."""
    epoch, count = job.epoch, 0
    shape = (epoch.batch_size, 3, epoch.side, epoch.side)
    for batch in batches:
        array = np.asarray(batch)  # of a tensor too, this copies nothing
        if array.shape != shape or array.dtype != np.uint8:
            raise ValueError(f"expected {shape} uint8, found {array.shape} {array.dtype}")
        count += 1
        yield array
    if count * epoch.batch_size != len(epoch.paths):
        raise ValueError(f"expected {len(epoch.paths) // epoch.batch_size} batches, found {count}")


def processor_seconds() -> float:
    """Return the time that this process and its children that have ended took on all processors."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def work(job: Job) -> dict[str, Any]:
    loading = next(kind for kind in KINDS if kind.name == job.name)()
    used = processor_seconds()
    begin = time.monotonic()  # one clock for all processes of the system
    batches = whole_batches(job, loading.batches(job.epoch))
    if job.what == "time":
        next(batches)
        first = time.monotonic()
        for _ in batches:
            pass
        end = time.monotonic()  # the loader is gone, and its workers with it
        return {"begin": begin, "first": first, "end": end, "processor": processor_seconds() - used}
    if job.what == "memory":
        return {"sums": [zlib.crc32(image) for batch in batches for image in batch]}
    facts: dict[str, Any] = {key: getattr(loading, key) for key in ("version", "libjpeg")}
    facts["images"] = np.concatenate([batch.copy() for batch in batches])
    if job.epoch.boxes is not None:
        facts["crops"] = (job.epoch.boxes, job.epoch.flips)
        if loading.own_crops:
            facts["crops"] = loading.crops(job.epoch) if loading.tells_crops else None
    return facts


# From outside


def members(session: int) -> list[str]:
    """Return the folders in /proc of the processes of that session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if after_name[3] == str(session) and after_name[0] != "Z":
            found.append(str(path.parent))
    return found


def numbers(path: str) -> dict[str, int]:
    """Return the lines "name: number" of a file in /proc."""
    try:
        text = pathlib.Path(path).read_text()
    except OSError:
        return {}
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)(?: kB)?$", text, re.MULTILINE)}


def observe(session: int) -> dict[str, int]:
    """Return memory in bytes, and the numbers of processes and threads, of a session's processes together.

    "pss" is the kernel's, which divides a page of a library by all the processes of the machine that have it. In
    "memory" those of the process that has the most of them count whole, as if no strangers shared them.
    """
    folders = members(session)
    rollups = [numbers(f"{folder}/smaps_rollup") for folder in folders]
    statuses = [numbers(f"{folder}/status") for folder in folders]
    own = sum(rollup.get("Pss_Anon", 0) + rollup.get("Pss_Shmem", 0) for rollup in rollups)
    shares = sum(rollup.get("Pss_File", 0) for rollup in rollups)
    files = max([shares, *(status.get("RssFile", 0) for status in statuses)])  # neither is more than there is
    return {
        "memory": 1024 * (own + files),
        "pss": 1024 * sum(rollup.get("Pss", 0) for rollup in rollups),
        "processes": len(folders),
        "threads": sum(status.get("Threads", 0) for status in statuses),
    }


def watch(process: subprocess.Popen[str]) -> dict[str, int]:
    """Return the largest of each of `observe`'s figures until the process ends."""
    most: dict[str, int] = {}
    while process.poll() is None:
        seen = observe(process.pid)
        most = {key: max(value, most.get(key, 0)) for key, value in seen.items()}
        time.sleep(INTERVAL)
    return most


def run(job: Job) -> dict[str, Any]:
    """Return `work`'s answer from a fresh process, and what was seen of it.

    Raises
    ------
    RuntimeError
        With the last line that the process wrote to stderr, if it failed.
    """
    with tempfile.TemporaryDirectory(prefix="fastimg-bench-") as folder:
        for name in ("stdout", "stderr"):
            pathlib.Path(folder, name).touch()
        pathlib.Path(folder, "job").write_bytes(pickle.dumps(job))
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with open(f"{folder}/stdout", "w") as out, open(f"{folder}/stderr", "w") as err:
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks._loader_run", folder],
                stdout=out,
                stderr=err,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # by which its own processes are found
            )
            try:
                most = watch(process) if job.what == "memory" else {}
                process.wait()
            finally:
                stop(process)
        answer = pathlib.Path(folder, "answer")
        if process.returncode or not answer.exists():
            lines = pathlib.Path(folder, "stderr").read_text().strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"the process ended with {process.returncode}")
        return {"started": started, **pickle.loads(answer.read_bytes()), **most}


def stop(process: subprocess.Popen[str]) -> None:
    """End the process and its children, if they are still there."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    here = pathlib.Path(sys.argv[1])
    given = pickle.loads((here / "job").read_bytes())
    (here / "answer").write_bytes(pickle.dumps(work(given)))
