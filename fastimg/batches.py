# SPDX-License-Identifier: BSD-3-Clause
"""Batches that are made ahead, in threads that end with their iterator."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from fastimg.indexing import Indices
from fastimg.threads import Cancellation

#: Threads that each decode a batch at once: more than this many CPUs cannot share one of common size.
CPUS_PER_BATCH = 16

#: How long the interpreter waits at its end for a function of the caller's to return.
EXIT_SECONDS = 1.0


class Slot:
    """One batch, from its indices to what the caller gets."""

    def __init__(self) -> None:
        self.indices: Indices | None = None
        self.buffers: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.ready = False


class Maker:
    """How batches are made; what threads call.

    Parameters
    ----------
    read : callable (indices, buffers, cancellation) -> tuple
        From the arrays.
    finish : callable (batch) -> batch
        The caller's functions.
    new_buffers : callable () -> buffers, optional
        Arrays for `read` to fill, as many sets as batches may exist.
    num_threads : int
        That `read` uses.
    """

    def __init__(
        self,
        read: Callable[[Indices, Any, Cancellation], tuple[Any, ...]],
        finish: Callable[[Any], Any],
        new_buffers: Callable[[], Any] | None,
        num_threads: int,
    ) -> None:
        self.read = read
        self.finish = finish
        self.new_buffers = new_buffers
        self.num_threads = num_threads
        self.cancellation = Cancellation()
        self._buffers: deque[Any] = deque()

    def add_buffers(self, count: int) -> None:
        """Makes `count` sets of buffers."""
        if self.new_buffers:
            self._buffers.extend(self.new_buffers() for _ in range(count))

    def recycle(self, slot: Slot) -> None:
        """The caller has done with this batch."""
        slot.result = None
        if self.new_buffers and slot.buffers is not None:
            self._buffers.append(slot.buffers)

    def decode(self, slot: Slot) -> None:
        """The first half, on all threads."""
        if self.new_buffers:
            slot.buffers = self._buffers.popleft()
        assert slot.indices is not None
        slot.result = self.read(slot.indices, slot.buffers, self.cancellation)

    def map(self, slot: Slot) -> None:
        """The second half, on one."""
        slot.result = self.finish(slot.result)


class Crew:
    """Threads that make batches in the order of their slots.

    Batches are decoded one after another, each on all CPUs, so that the first is there soonest (with many CPUs a few at
    a time); a batch's functions are called while the next one is decoded.
    """

    def __init__(self, maker: Maker, count: int) -> None:
        self.maker = maker
        self.changed = threading.Condition()
        self.waiting: deque[Slot] = deque()
        self.stopped = False
        self.decoding = threading.Semaphore(min(count, 1 + maker.num_threads // CPUS_PER_BATCH))
        self.pid = os.getpid()
        self.threads: list[tuple[threading.Thread, threading.Lock]] = []
        _crews.add(self)
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        thread = threading.Thread(target=self._work, args=(lock,), name="fastimg-batches", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self.threads:
                raise  # else those will do that the system gives
        else:
            self.threads.append((thread, lock))

    def submit(self, slot: Slot) -> None:
        """Puts a slot behind the others."""
        with self.changed:
            self.waiting.append(slot)
            self.changed.notify_all()

    def wait(self, slot: Slot) -> bool:
        """Until the slot is ready; False: never, the threads have been stopped."""
        with self.changed:
            while not slot.ready and not self.stopped:
                self.changed.wait()
            return slot.ready

    def stop(self, seconds: float = -1) -> None:
        """Ends the threads. A decode under way is cancelled; a function of the caller's is waited for."""
        self.maker.cancellation.cancel()
        with self.changed:
            self.stopped = True
            self.waiting.clear()
            self.changed.notify_all()
        if any(thread is threading.current_thread() for thread, _ in self.threads):
            return  # the garbage collector struck in one of them
        for thread, lock in self.threads:
            if lock.acquire(timeout=seconds):  # a signal does no harm to it, as it may to join
                lock.release()
                thread.join()

    def _next(self) -> Slot | None:
        with self.changed:
            while not self.waiting and not self.stopped:
                self.changed.wait()
            return None if self.stopped else self.waiting.popleft()

    def _work(self, lock: threading.Lock) -> None:
        try:
            while True:
                with self.decoding:
                    slot = self._next()
                    if slot is None:
                        return
                    self._try(self.maker.decode, slot)
                if slot.error is None and not self.stopped:
                    self._try(self.maker.map, slot)
                with self.changed:
                    slot.ready = True
                    self.changed.notify_all()
                del slot
        finally:
            lock.release()

    def _try(self, step: Callable[[Slot], None], slot: Slot) -> None:
        try:
            step(slot)
        except BaseException as error:
            slot.error = error


_crews: weakref.WeakSet[Crew] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for crew in list(_crews):
        if crew.pid == os.getpid():
            crew.stop(EXIT_SECONDS)


class BatchIterator(Iterator[Any]):
    """The batches of one epoch, in order, made ahead by background threads.

    Made by `ArrayDataSource.batch_iterator`. It is an iterator and a context manager; its threads end when it is
    exhausted, closed, or no longer referred to. Threads may share it: each batch is given once.
    """

    def __init__(self, epoch: Any, maker: Callable[[], Maker], prefetch: int) -> None:
        self._epoch = epoch
        self._new_maker = maker
        self._prefetch = prefetch
        self._maker: Maker | None = None
        self._crew: Crew | None = None
        self._slots: deque[Slot] = deque()
        self._drawn = False  # whether there are no more indices
        self._held: Slot | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> Any:
        if self._pid != os.getpid():
            raise RuntimeError(
                "a batch iterator cannot be used in a forked process: its threads stayed behind"
            )
        with self._lock:
            if self._closed:
                raise StopIteration
            try:
                return self._advance()
            except BaseException:
                self._close()
                raise

    def _advance(self) -> Any:
        if self._maker is None:
            self._maker = self._new_maker()
            self._maker.add_buffers(self._prefetch + 2)
            if self._prefetch:
                self._crew = Crew(self._maker, self._prefetch)
        self._fill(max(1, self._prefetch))
        if not self._slots:
            raise StopIteration
        slot = self._slots.popleft()
        if slot.error is None and not self._wait(slot):
            raise StopIteration  # closed by another thread
        if isinstance(slot.error, StopIteration):
            raise RuntimeError(
                "what makes a batch raised StopIteration"
            ) from slot.error  # as a generator does
        if slot.error is not None:
            raise slot.error
        result, slot.result = slot.result, None
        if self._prefetch:
            self._fill(self._prefetch)
        if self._held:
            self._maker.recycle(self._held)
        self._held = slot
        self._epoch.given += 1
        return result

    def _wait(self, slot: Slot) -> bool:
        if self._crew:
            return self._crew.wait(slot)
        assert self._maker is not None
        try:
            self._maker.decode(slot)
            self._maker.map(slot)
        except Exception as error:
            slot.error = error
        return True

    def _fill(self, count: int) -> None:
        while len(self._slots) < count and not self._drawn:
            slot = Slot()
            try:
                slot.indices = self._epoch.next_indices()
            except Exception as error:
                slot.error = error
            self._drawn = slot.indices is None
            if slot.indices is not None or slot.error is not None:
                self._slots.append(slot)
            if self._crew and slot.error is None and slot.indices is not None:
                self._crew.submit(slot)

    def __len__(self) -> int:
        """The number of batches that are left."""
        left: int = self._epoch.batches_left()
        return 0 if self._closed else left

    def state_dict(self) -> dict[str, Any]:
        """Where the caller stands, in plain types that JSON can hold: as many batches on as it has got."""
        state: dict[str, Any] = self._epoch.state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where another iterator's `state_dict` stood; before the first batch only.

        Raises
        ------
        ValueError, TypeError
            If batches have been given, or `state` is not of an epoch like this one.
        """
        if self._maker is not None or self._closed:
            raise ValueError("a state can be loaded before the first batch only")
        self._epoch.load(state)

    def close(self) -> None:
        """Ends the threads: a decode under way is cancelled, a function of the caller's is waited for."""
        if self._pid != os.getpid():
            return  # the threads stayed behind, and with them, perhaps, the lock
        crew = self._crew
        if crew:
            crew.stop()  # first, as `next` may be waiting in another thread
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._slots.clear()
        self._held = None
        if self._crew:
            crew, self._crew = self._crew, None
            if self._pid == os.getpid():  # in a forked process there are no threads
                crew.stop()

    def __enter__(self) -> BatchIterator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_pid"):
            self._close()
