# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: threads that decode, and threads that read.

cdef bint is_first(pop) noexcept:
    """Whether nobody else has called this for the `pop` of a list of one object."""
    try:
        pop()  # atomic, with or without the GIL, and takes no memory
    except BaseException:
        return False
    return True


cdef class ThreadGroup:
    """Threads that run one function, each with a lock that it holds until it ends.

    They are started, and waited for, without a single bytecode in between: wherever Ctrl-C strikes, every thread that
    runs is known, and `stop` waits for it. What goes wrong in a thread is kept for the caller; nothing is printed.
    All this holds without memory, too.
    """
    cdef list locks
    cdef object error  # the first
    cdef int64_t process_id

    def __cinit__(self):
        self.locks = []
        self.process_id = fi_process_id()

    @property
    def is_orphaned(self):
        """Whether this process is a fork of the one that has the threads: they are missing, and not waited for."""
        return fi_process_id() != self.process_id  # os.getpid() takes memory

    def start(self, work, int count, spawn=start_new_thread):
        """Starts up to `count` threads that call `work`, as many as the system gives, and returns their number.

        ``spawn(function, arguments)`` starts one; RuntimeError: there are no more.
        """
        for _ in range(count):
            if not self.try_start(work, spawn):
                break
        return len(self.locks)

    cpdef bint try_start(self, work, spawn=start_new_thread) except *:
        """Starts one thread; returns False if the system gives none."""
        lock = allocate_lock()
        lock.acquire()
        release = lock.release
        pop = [None].pop
        self.locks.append(lock)  # first, as there might be no memory for it later
        try:
            spawn(self.run, (work, release, pop))
        except BaseException as error:
            # It may have started a thread all the same. One that works already stays in the list.
            if is_first(pop):
                release()
                del self.locks[len(self.locks) - 1]  # pop() would take memory
                if isinstance(error, RuntimeError):
                    return False
            raise
        return True

    def run(self, work, release, pop):
        """One thread's life, unless `try_start` has given it up."""
        if not is_first(pop):
            return
        try:
            work()
        except BaseException as error:
            if self.error is None:
                self.error = error
        finally:
            release()

    def wait(self, double seconds):
        """Whether all threads have ended, waiting for each for at most `seconds`; their first error is raised then."""
        if self.is_orphaned:
            return True
        for lock in list(self.locks):
            release = lock.release  # takes memory, so not while the lock is held
            if not lock.acquire(True, seconds):
                return False
            release()
        if self.error is not None:
            raise self.error
        return True

    def stop(self, cancel):
        """Calls `cancel`, and waits for all threads, whatever signals arrive meanwhile."""
        try:
            cancel()
        finally:
            self.join()

    cdef int join(self) except -1:
        """Waits for all threads."""
        cdef Py_ssize_t i = 0
        cdef object raised = None  # by a signal's handler, meanwhile
        while i < len(self.locks) and not self.is_orphaned:
            try:
                lock = self.locks[i]
                release = lock.release
                if lock.acquire(True, 1.0):
                    release()
                    i += 1
            except MemoryError:
                pass  # the threads that end free some
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised
        return 0


cdef class Readers:
    """Threads that read what batches decode (``fi_readers``).

    Parameters
    ----------
    nbytes : int
        How much may have been read and not yet been decoded.
    threads : int
        How many there may be.
    adapts : bool
        Whether they are started only as decoding waits for files.
    """
    cdef fi_readers *core
    cdef ThreadGroup group
    cdef list batches  # those that have been added; replaced, never changed
    cdef object changing
    cdef object growing
    cdef bint fixed  # whether there are threads in any case
    cdef readonly bint refused  # whether the system gave not a single thread

    def __cinit__(self, nbytes, unsigned threads, bint adapts):
        self.group = ThreadGroup()
        self.batches = []
        self.changing = allocate_lock()
        self.growing = allocate_lock()
        self.fixed = threads > 0 and not adapts
        self.core = fi_readers_new(nbytes, threads, adapts)
        if self.core == NULL:
            raise MemoryError("no memory for reader threads")

    def __dealloc__(self):
        fi_readers_free(self.core)

    def add(self, Batch batch not None):
        """Reads the sources of this batch after those of the batches that have been added before."""
        self.changing.acquire()
        try:
            self.batches = [*self.batches, batch]
        finally:
            self.changing.release()
        with nogil:
            fi_readers_add(self.core, &batch.core)

    def has(self, Batch batch not None):
        """Whether the batch has been added, and not been removed."""
        return any([each is batch for each in self.added()])

    cdef list added(self):
        # Without a GIL, what is replaced must not be read without the lock.
        self.changing.acquire()
        try:
            return self.batches
        finally:
            self.changing.release()

    def is_current(self):
        """Whether this thread is in a reader or a fallback of the caller's, for an image of these batches."""
        return any([batch.is_current() for batch in self.added()])

    def remove(self, Batch batch not None):
        """Reads no more of this batch, and waits for what is being read."""
        with nogil:
            fi_readers_remove(self.core, &batch.core)
        self.changing.acquire()
        try:
            self.batches = [each for each in self.batches if each is not batch]
        finally:
            self.changing.release()

    @property
    def at_work(self):
        """Whether there are threads, or some are wanted: reading early is worth while."""
        return self.fixed or len(self.group.locks) > 0 or fi_readers_wanted(self.core) > 0

    def grow(self):
        """Starts the threads that are wanted, as many as the system gives."""
        cdef unsigned wanted
        cdef Py_ssize_t count
        if not self.growing.acquire(False):
            return  # another thread is at it
        try:
            wanted = fi_readers_wanted(self.core)
            while len(self.group.locks) < wanted:
                count = len(self.group.locks)
                fi_readers_enter(self.core)
                try:
                    self.group.try_start(ReaderThread(self).run)
                finally:
                    if len(self.group.locks) == count:
                        fi_readers_leave(self.core)
                if len(self.group.locks) == count:
                    fi_readers_limit(self.core)
                    self.refused = not self.group.locks
                    break
        finally:
            self.growing.release()

    cdef int read_for(self, fi_read *read) except -1:
        """Reads a source by the caller's own means."""
        cdef Batch batch = <Batch>read.batch.owner
        cdef View view = None
        cdef bint stop = True, unreadable = True
        try:
            ident = get_ident()
            batch.callers.append(ident)
            try:
                view = view_of(batch.sources.read(batch.core.jobs[read.position].index), PyBUF_SIMPLE)
            finally:
                batch.callers.remove(ident)
        except BaseException as error:
            try:
                batch.errors[read.position] = error
                unreadable = not isinstance(error, (ImageError, FileNotFoundError))  # these are about one image
                stop = is_machine_fault(error)
            except BaseException:
                pass  # an errno of the caller's making, or no memory
        if view is None:
            fi_read_refuse(read, stop, unreadable)
        else:
            with nogil:
                fi_read_supply(read, <const uint8_t *>view.buffer.buf, view.buffer.len)
            view = None  # the copy alone counts from now on
        with nogil:
            fi_readers_finish(self.core, read)
        return 0

    def finish(self, Batch batch not None, ThreadGroup decoders not None, bint last):
        """Cancels what is left of a batch, waits for its threads, and removes it; `last`: ends the readers, too."""
        with nogil:
            fi_batch_cancel(&batch.core)
        try:
            decoders.join()
            self.remove(batch)
        finally:
            if last:
                self.stop()

    def stop(self):
        """Ends the threads, and removes all batches."""
        cdef Py_ssize_t i
        cdef list batches
        with nogil:
            fi_readers_stop(self.core)
        try:
            batches = self.added()
            for i in range(len(batches)):
                (<Batch>batches[i]).cancel()
        finally:
            self.group.join()
        for i in range(len(batches)):
            self.remove(batches[i])

    def end(self):
        """Ends the threads after what they are reading, without waiting for them."""
        with nogil:
            fi_readers_stop(self.core)


cdef class ReaderThread:
    """One of the threads of `Readers`.

    Its read is not on the stack: when the interpreter ends, the thread may end in `read_for`, and others go on by it.
    """
    cdef fi_read core
    cdef Readers readers

    def __cinit__(self, Readers readers not None):
        self.readers = readers

    def run(self):
        """The thread's life."""
        cdef bint found
        try:
            while True:
                with nogil:
                    found = fi_readers_run(self.readers.core, &self.core)
                if not found:
                    return
                self.readers.read_for(&self.core)
        finally:
            fi_readers_leave(self.readers.core)
