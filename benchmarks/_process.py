# SPDX-License-Identifier: BSD-3-Clause
"""Fresh processes that do what they are told, and how much time and memory a process takes."""

import contextlib
import gc
import importlib
import os
import pathlib
import pickle
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback


class ChildError(RuntimeError):
    """What went wrong in a child: the last line of the traceback, or how the process ended."""


class Child(contextlib.AbstractContextManager):
    """A fresh process, in which the functions of a module are called from here.

    `target` is the module, or "module:class": then an object of that class is made with the `arguments`, and its
    methods are called. The process has our environment, with `environment` on top of it. It leads a session of its own,
    by which its children are found.
    """

    def __init__(self, target, *arguments, **environment):
        root = str(pathlib.Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.started = time.monotonic()
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
        options["env"] = {**os.environ, "PYTHONPATH": path, **environment}
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks._process"], **options)
        self.send(target, *arguments)

    def __exit__(self, *_):
        """End the process, and those that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()

    def send(self, method, *arguments):
        """Have a function or method called; `receive` gives its answer."""
        with contextlib.suppress(BrokenPipeError):  # the process has ended: `receive` says so
            pickle.dump((method, arguments), self.process.stdin)
            self.process.stdin.flush()

    def ready(self, seconds=0):
        """Wait at most that long for an answer; return whether there is one."""
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def receive(self):
        """Return the answer; ChildError if the call raised an exception, or the process has ended."""
        try:
            failure, answer = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise ChildError(f"the process ended with {self.process.wait()}") from None
        if failure:
            raise ChildError(failure)
        return answer

    def ask(self, method, *arguments):
        """Call a function or method; return its answer, or raise what `receive` does."""
        self.send(method, *arguments)
        return self.receive()

    def samples(self, interval, look):
        """Yield look(), every `interval` seconds, until there is an answer."""
        due = time.monotonic()
        while not self.ready(max(0.0, due - time.monotonic())):
            yield look()
            due = max(due + interval, time.monotonic())


def serve():
    """Answer the parent's calls until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    target, given = pickle.load(sys.stdin.buffer)
    module, _, name = target.partition(":")
    made = importlib.import_module(module)
    if name:
        made = getattr(made, name)(*given)
    with contextlib.suppress(EOFError):
        while True:
            method, arguments = pickle.load(sys.stdin.buffer)
            failure = answer = None
            try:
                answer = getattr(made, method)(*arguments)
            except (Exception, SystemExit):  # a benchmark ends with that, saying why
                failure = traceback.format_exc().strip().splitlines()[-1]
            pickle.dump((failure, answer), answers)
            answers.flush()


def processor_seconds():
    """Return the time that this process, and its children that have ended, took on all processors."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def proc_numbers(path):
    """Return the lines "name: number" of a file in /proc; none if the process has ended."""
    text = ""
    with contextlib.suppress(OSError):
        text = pathlib.Path(path).read_text()
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)(?: kB)?$", text, re.MULTILINE)}


def high_water():
    """Return the largest resident size of this process so far, in bytes."""
    status = proc_numbers("/proc/self/status")
    if status:  # ru_maxrss would be no less than the parent's size at the fork, even after an exec
        return 1024 * status.get("VmHWM", 0)
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value if sys.platform == "darwin" else 1024 * value  # all but macOS count in KiB


def memory_growth(call):
    """Return by how many bytes this process grows, at the most, while call() runs."""
    import psutil

    gc.collect()
    with contextlib.suppress(OSError):  # it may have been larger before than it is now; Linux only
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    base = psutil.Process().memory_info().rss
    call()
    return max(0, high_water() - base)


def session_usage(session):
    """Return memory and the numbers of processes and threads of a session.

    "pss MB" is the kernel's, which divides a library's page by the number of processes on the machine that have it. In
    "memory MB", such pages of the process that has most of them count in full, as if no strangers shared them.
    """
    rollups, statuses = [], []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, _, its_session, *_ = path.read_text().rpartition(")")[2].split()
            if its_session == str(session) and state != "Z":
                rollups.append(proc_numbers(path.with_name("smaps_rollup")))
                statuses.append(proc_numbers(path.with_name("status")))
    own = sum(rollup.get("Pss_Anon", 0) + rollup.get("Pss_Shmem", 0) for rollup in rollups)
    shares = sum(rollup.get("Pss_File", 0) for rollup in rollups)
    files = max([shares, *(status.get("RssFile", 0) for status in statuses)])  # neither exceeds what there is
    pss = sum(rollup.get("Pss", 0) for rollup in rollups)
    threads = sum(status.get("Threads", 0) for status in statuses)
    usage = {"memory MB": 1024e-6 * (own + files), "pss MB": 1024e-6 * pss}  # from KiB
    return usage | {"processes": len(statuses), "threads": threads}


if __name__ == "__main__":
    serve()
