# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that import the same fastimg as this one, and `support`."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import sysconfig
import threading
import warnings

import pytest

import fastimg
from support.data_sources import PATIENCE
from support.sanitizers import loaded

HAS_GIL = not sysconfig.get_config_var("Py_GIL_DISABLED")
ROOTS = [pathlib.Path(fastimg.__file__).parent.parent, pathlib.Path(__file__).parent.parent]


def child_env(**extra):
    """This process's environment with the import path of a child, and what else is given."""
    roots = [*map(str, ROOTS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots)), **extra}


def probe_command(name, *args):
    """The command that runs a module of `support` as a program."""
    # -P: without it the current folder would come before PYTHONPATH.
    return [sys.executable, "-P", "-m", f"support.{name}", *map(str, args)]


def run_probe(name, *args, env=None, timeout=250, **options):
    """Run a module of `support` as a program that must succeed in silence; returns what it prints."""
    done = subprocess.run(
        probe_command(name, *args),
        env=child_env() if env is None else env,
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"exit status {done.returncode}\n{done.stderr}"
    return done.stdout


@functools.cache
def best_kernels():
    """The name of the kernels that this CPU gets, whatever FASTIMG_CPU says."""
    code = "import fastimg; print(fastimg.build_info()['kernels'])"
    env = child_env(FASTIMG_CPU="")
    return subprocess.check_output([sys.executable, "-P", "-c", code], text=True, env=env).strip()


def skip_forking():
    """Skip a test that forks while other threads work, where locks that are not fastimg's stay taken in the child."""
    if loaded() == "address":
        pytest.skip("the address sanitizer's allocator cannot fork while another thread is inside")
    if not HAS_GIL:
        pytest.skip(
            "CPython without the GIL cannot fork while another thread uses a dict that the child needs"
        )


def status_in_child(function):
    """The exit code of a forked process: 0 if the function returned, 1 if it raised; it is killed if it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        pid = os.fork()
    if not pid:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return status_of_child(pid)


def status_of_child(pid, patience=PATIENCE):
    """The exit code of a forked process, which is killed if it hangs."""
    killer = threading.Timer(patience, os.kill, (pid, signal.SIGKILL))
    killer.start()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    killer.cancel()
    return status


def interrupt_child(code, *args, env, ready, timeout):
    """Interrupt a program once it has printed the line `ready`; returns its exit status and what else it printed."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == f"{ready}\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=timeout)
    finally:
        child.kill()
        child.wait()
    return child.returncode, out, err


def assert_died_of_interrupt(status, err):
    assert status == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
