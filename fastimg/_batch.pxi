# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: many images, and the threads that run them.

cdef View job_values(values, size_t count, size_t nbytes):
    """A view of an array of `nbytes` for each of `count` jobs."""
    cdef View view = view_of(values, PyBUF_SIMPLE)
    if <size_t>view.buffer.len != count * nbytes:
        raise ValueError(f"expected {nbytes} bytes for each of {count} jobs, found {view.buffer.len}")
    return view


cdef class Batch:
    """Owns the jobs of one call.

    Parameters
    ----------
    sources : SourceList
    indices : int64 ndarray, (n,), or None
        The sources to decode, in this order; None: all.
    options : Options
    crop : (top, left, height, width), int64 ndarray of them, (n, 4), or None
        For all, or one per job.
    flip : bool or bool ndarray, (n,)
        For all, or one per job.
    stop_on_failure : bool
        False: failed images are zeroed, and the others decoded.

    Notes
    -----
    Until `set_output` is called, `run` only reads headers.
    """
    cdef fi_batch core
    cdef Options options
    cdef list keep  # what the jobs point into

    def __cinit__(self, sources, indices, Options options not None, crop, flip, bint stop_on_failure):
        cdef View starts = view_of(sources.starts, PyBUF_SIMPLE), ranges = None, order = None
        cdef View boxes = None, flips = None
        cdef bytes blob = sources.blob
        cdef const char *paths = PyBytes_AsString(blob)
        cdef size_t total = starts.buffer.len // sizeof(uint64_t), i, at
        cdef fi_job *job
        cdef View view
        memset(&self.core, 0, sizeof(self.core))
        self.options = options
        self.keep = [blob]
        if sources.ranges is not None:
            ranges = view_of(sources.ranges, PyBUF_SIMPLE)
        self.core.count = total
        if indices is not None:
            order = view_of(indices, PyBUF_SIMPLE)
            self.core.count = order.buffer.len // sizeof(int64_t)
        if crop is not None and not isinstance(crop, tuple):
            boxes = job_values(crop, self.core.count, 4 * sizeof(int64_t))
        if not isinstance(flip, bool):
            flips = job_values(flip, self.core.count, 1)
        self.core.options = &options.core
        self.core.stop_on_failure = stop_on_failure
        self.core.jobs = <fi_job *>calloc(self.core.count or 1, sizeof(fi_job))
        self.core.headers = <fi_header *>calloc(self.core.count or 1, sizeof(fi_header))
        if self.core.jobs == NULL or self.core.headers == NULL:
            raise MemoryError("no memory for the list of jobs")
        for i in range(self.core.count):
            job = &self.core.jobs[i]
            at = i if order is None else <size_t>(<int64_t *>order.buffer.buf)[i]
            if at >= total:
                raise IndexError(f"index {at} is out of range for {total} sources")
            job.flip = flip if flips is None else (<uint8_t *>flips.buffer.buf)[i] != 0
            if boxes is None:
                set_crop(&job.crop, crop)
            else:
                memcpy(&job.crop, <int64_t *>boxes.buffer.buf + 4 * i, sizeof(fi_crop))
            job.source.size = UINT64_MAX
            if (<uint64_t *>starts.buffer.buf)[at] == UINT64_MAX:
                view = view_of(sources.buffers[at], PyBUF_SIMPLE)
                self.keep.append(view)
                job.source.data = <const uint8_t *>view.buffer.buf
                job.source.size = view.buffer.len
                continue
            job.source.path = paths + (<uint64_t *>starts.buffer.buf)[at]
            if ranges is not None:
                job.source.offset = (<uint64_t *>ranges.buffer.buf)[2 * at]
                job.source.size = (<uint64_t *>ranges.buffer.buf)[2 * at + 1]

    def __dealloc__(self):
        cdef size_t i
        if self.core.jobs != NULL:
            for i in range(self.core.count):
                fi_failure_free(self.core.jobs[i].failure)
        free(self.core.jobs)
        free(self.core.headers)

    def __len__(self):
        return self.core.count

    @property
    def done(self):
        """The number of jobs that have been run."""
        return self.core.done

    @property
    def exhausted(self):
        """Whether no job is left to claim."""
        return self.core.next >= self.core.count

    def set_output(self, out, shape):
        """From now on `run` decodes: into `out`, an array of this shape, or a list of arrays with a list of shapes.

        None for `out`: nothing is kept, and only the first `shape` jobs are run.
        """
        cdef View view
        cdef size_t i
        cdef fi_output first
        cdef Py_ssize_t dims[4]
        cdef size_t count = self.core.count
        if out is None:
            count = shape
        elif isinstance(shape, list):
            if len(out) != len(shape):
                raise ValueError(f"out must be a list of {len(shape)} arrays, found {len(out)}")
            for i in range(self.core.count):
                dims[0], dims[1], dims[2] = shape[i]
                view = output_view(out[i], self.options, 3, dims)
                bind_output(view, self.options, 0, &self.core.jobs[i].out)
                self.keep.append(view)
        else:
            dims[0], dims[1], dims[2], dims[3] = shape
            view = output_view(out, self.options, 4, dims)
            bind_output(view, self.options, 1, &first)
            self.keep.append(view)
            for i in range(self.core.count):
                self.core.jobs[i].out = first
                self.core.jobs[i].out.data = first.data + <Py_ssize_t>i * view.strides[0]
        for i in range(self.core.count):
            fi_failure_free(self.core.jobs[i].failure)
            self.core.jobs[i].failure = NULL
        free(self.core.headers)
        self.core.headers = NULL
        self.core.count = count
        self.core.next = 0
        self.core.done = 0

    def run(self, int64_t budget_ns):
        """Runs jobs until none is left or the time is over (0: no limit); any number of threads may call it at once."""
        cdef Decoder decoder = take_decoder()
        with nogil:
            fi_batch_run(&self.core, decoder.core, budget_ns)
        give_back(decoder)
        if self.core.out_of_memory:
            raise MemoryError("no memory left to describe a failure")

    def cancel(self):
        """Starts no further job; those under way are finished."""
        fi_batch_cancel(&self.core)

    def failures(self):
        """A list of Failure, in order of index."""
        return [failure_of(self.core.jobs[i].failure, i) for i in range(self.core.count)
                if self.core.jobs[i].failure != NULL]

    def headers(self):
        """A tuple per header, as from `read_header`, after `run` has read them all and none has failed."""
        if self.core.headers == NULL:
            raise ValueError("there are no headers: an output has been set")
        return [header_fields(&self.core.headers[i]) for i in range(self.core.count)]

    def sizes(self):
        """Heights and widths as the options make them, int64, (n, 2); -1 for images whose header `run` has not read."""
        sizes = empty((self.core.count, 2), numpy.int64)
        cdef View view = view_of(sizes, PyBUF_WRITABLE)
        cdef int64_t *size = <int64_t *>view.buffer.buf
        cdef size_t i
        cdef fi_plan plan
        cdef fi_failure failure
        memset(&failure, 0, sizeof(failure))
        for i in range(self.core.count):
            size[2 * i] = size[2 * i + 1] = -1
            if self.core.jobs[i].failure == NULL and fi_plan_make(
                    &plan, &self.core.headers[i], &self.options.core, &self.core.jobs[i].crop, False,
                    &failure) == FI_OK:
                size[2 * i] = plan.out_height
                size[2 * i + 1] = plan.out_width
        return sizes


cdef class ThreadGroup:
    """Threads that run one function, each with a lock that it holds until it ends.

    They are started, and waited for, without a single bytecode in between: wherever Ctrl-C strikes, every thread that
    runs is known, and `stop` waits for it. What goes wrong in a thread is kept for the caller; nothing is printed.
    """
    cdef list locks
    cdef list errors

    def __cinit__(self):
        self.locks = []
        self.errors = []

    def start(self, work, int count, spawn=start_new_thread):
        """Starts up to `count` threads that call `work`, as many as the system gives, and returns their number.

        ``spawn(function, arguments)`` starts one; RuntimeError: there are no more.
        """
        for _ in range(count):
            lock = allocate_lock()
            lock.acquire()
            try:
                spawn(self.run, (work, lock))
            except RuntimeError:
                break
            self.locks.append(lock)
        return len(self.locks)

    def run(self, work, lock):
        """One thread's life."""
        try:
            work()
        except BaseException as error:
            self.errors.append(error)
        finally:
            lock.release()

    def wait(self, double seconds):
        """Whether all threads have ended, waiting for each for at most `seconds`; their first error is raised then."""
        for lock in list(self.locks):
            if not lock.acquire(True, seconds):
                return False
            lock.release()
        if self.errors:
            raise self.errors[0]
        return True

    def stop(self, cancel):
        """Calls `cancel`, and waits for all threads, whatever signals arrive meanwhile."""
        cancel()
        for lock in list(self.locks):
            while True:
                try:
                    if lock.acquire(True, 1.0):
                        lock.release()
                        break
                except KeyboardInterrupt:
                    pass  # one is on its way already
