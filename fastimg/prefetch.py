# SPDX-License-Identifier: BSD-3-Clause
"""Threads that make batches ahead."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import fastimg._decode as _decode
from fastimg.batch_builder import BatchBuilder, PendingBatch
from fastimg.threads import WAKE_SECONDS

#: A batch of common size cannot keep more CPUs than this busy; with more, several are decoded at once.
CPUS_PER_BATCH = 16

#: How long the interpreter waits at exit for a function of the caller's to return.
EXIT_SECONDS = 1.0

#: How often a waiting thread looks by itself: without memory, the one that is to wake it up may not be able to.
LOOK_SECONDS = 1.0


class PrefetchThreads:
    """Threads that make batches in the order in which they were submitted.

    Batches are decoded one after another, each on all CPUs, so that the first is there soonest (with many CPUs a few at
    a time); a batch's functions are called while the next one is decoded.
    """

    def __init__(self, builder: BatchBuilder, count: int) -> None:
        self.builder = builder
        self.changed = threading.Condition()
        self.waiting: deque[PendingBatch] = deque()
        self.stopped = False
        self.decoding = threading.Semaphore(min(count, 1 + builder.num_threads // CPUS_PER_BATCH))
        self.pid = os.getpid()
        self.threads: list[threading.Thread] = []
        self.group = _decode.ThreadGroup()
        _groups.add(weakref.ref(self, _groups.discard))
        try:
            if not self.group.start(self._work, count, self._spawn):
                raise RuntimeError("can't start new thread")
        except BaseException:
            self.stop()  # those that have started
            raise

    def _spawn(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        # A thread that the threading module knows, as it runs the caller's functions.
        thread = threading.Thread(target=function, args=arguments, name="fastimg-batches", daemon=True)
        thread.start()
        self.threads.append(thread)

    def submit(self, pending: PendingBatch) -> None:
        """Queues a batch."""
        with self.changed:
            self.waiting.append(pending)
            self.changed.notify_all()

    def wait(self, pending: PendingBatch) -> bool:
        """Waits until the batch is ready; returns False if the threads have been stopped before."""
        with self.changed:
            while not pending.ready and not self.stopped:
                self.changed.wait(WAKE_SECONDS)  # a signal that came to another thread does not end a wait
            return pending.ready

    def cancel(self) -> None:
        """Lets the threads end, without waiting for them."""
        self.stopped = True
        self.builder.cancellation.cancel()
        with self.changed:
            self.waiting.clear()
            self.changed.notify_all()

    def stop(self, seconds: float = -1) -> None:
        """Ends the threads: decoding is cancelled, functions of the caller's are waited for."""
        self.cancel()
        # The garbage collector may have run in one of them.
        idle = False
        try:
            if not self.is_current() and self.group.wait(seconds):
                for thread in self.threads:
                    thread.join()
                idle = True
        finally:
            self.builder.stop(idle)

    def is_current(self) -> bool:
        """Whether this is one of the threads."""
        ident = threading.get_ident()  # which another thread may get once this one has ended
        return any(thread.ident == ident and thread.is_alive() for thread in self.threads)

    def _next(self) -> PendingBatch | None:
        with self.changed:
            while not self.waiting and not self.stopped:
                self.changed.wait(LOOK_SECONDS)
            return None if self.stopped else self.waiting.popleft()

    def _work(self) -> None:
        while True:
            with self.decoding:
                pending = self._next()
                if pending is None:
                    return
                self._try(self.builder.decode, pending)
            if pending.error is None and not self.stopped:
                self._try(self.builder.map, pending)
            with self.changed:
                pending.ready = True
                self.changed.notify_all()
            del pending

    def _try(self, step: Callable[[PendingBatch], None], pending: PendingBatch) -> None:
        try:
            step(pending)
        except BaseException as error:
            pending.error = error


# A plain set: a WeakSet cannot be gone through while other threads add to it.
_groups: set[weakref.ref[PrefetchThreads]] = set()


@atexit.register
def _stop_all() -> None:
    for reference in list(_groups):
        threads = reference()
        if threads is not None and threads.pid == os.getpid():
            threads.stop(EXIT_SECONDS)
