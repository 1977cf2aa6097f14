# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: many images.

MAX_UNREADABLE = FI_MAX_UNREADABLE

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
    crop : (top, left, height, width), float64 ndarray of them, (n, 4), or None
        For all, or one per job.
    flip : bool or bool ndarray, (n,)
        For all, or one per job.
    stop_on_failure : bool
        False: failed images are zeroed, and the others decoded.
    boxes : (scale, ratio, flip, key) or None
        Draw a random box for each image, in place of `crop` and `flip`.
    sizes : int32 ndarray, (N, 2), or None
        Heights and widths that the images of all sources must have; 0: not known.
    keeps_bytes : bool
        Whether sources are read whole for their headers, and kept for decoding as far as there is room.
    geometry : float64 ndarray, (n, 2, 3), or None
        Gets, for each image that is decoded, the matrix from output pixels to those of the upright image.
    fallback : Fallback or None
        Decodes what the core does not.

    Notes
    -----
    Until `begin_decoding` or `set_output` is called, `run` only reads headers.
    """
    cdef fi_batch core
    cdef fi_random_boxes boxes
    cdef Options options
    cdef object sources
    cdef list keep  # what the jobs point into
    cdef size_t allocated
    cdef dict errors  # of the caller's readers and of the fallback, by position
    cdef list callers  # the threads that are in one of these
    cdef object fallback
    cdef Team team
    cdef readonly bint reads  # whether any source is a file, or read by the caller

    def __cinit__(self, sources, indices, Options options not None, crop, flip, bint stop_on_failure, *,
                  tuple boxes=None, sizes=None, bint keeps_bytes=False, geometry=None, fallback=None):
        cdef View starts = view_of(sources.starts, PyBUF_SIMPLE)
        cdef size_t total = starts.buffer.len // sizeof(uint64_t)
        memset(&self.core, 0, sizeof(self.core))
        self.options = options
        self.sources = sources
        self.keep = []
        self.errors = {}
        self.callers = []
        self.fallback = fallback
        self.core.has_fallback = fallback is not None
        self.core.owner = <void *>self
        self.core.options = &options.core
        self.core.stop_on_failure = stop_on_failure
        self.core.keeps_bytes = keeps_bytes
        self.core.checks_sizes = sizes is not None
        if boxes is not None:
            set_boxes(&self.boxes, boxes)
            self.core.boxes = &self.boxes
        self.core.count = total if indices is None else len(indices)
        self.core.jobs = <fi_job *>calloc(self.core.count or 1, sizeof(fi_job))
        self.core.headers = <fi_header *>calloc(self.core.count or 1, sizeof(fi_header))
        if self.core.jobs == NULL or self.core.headers == NULL:
            self.core.count = 0
            raise MemoryError("no memory for the list of jobs")
        self.allocated = self.core.count
        self.set_sources(starts, indices, sizes)
        self.set_crops(crop, flip)
        if geometry is not None:
            self.keep.append(job_values(geometry, self.core.count, 6 * sizeof(double)))
            self.core.geometry = <double (*)[2][3]>(<View>self.keep[-1]).buffer.buf
        fi_batch_begin(&self.core)

    cdef int set_sources(self, View starts, indices, sizes) except -1:
        cdef View ranges = None, order = None, measures = None
        cdef bytes blob = self.sources.blob
        cdef const char *paths = PyBytes_AsString(blob)
        cdef size_t total = starts.buffer.len // sizeof(uint64_t), i, at
        cdef uint64_t start
        cdef fi_job *job
        cdef View view
        self.keep.append(blob)
        if self.sources.ranges is not None:
            ranges = view_of(self.sources.ranges, PyBUF_SIMPLE)
        if indices is not None:
            order = view_of(indices, PyBUF_SIMPLE)
        if sizes is not None:
            measures = job_values(sizes, total, 8)
        for i in range(self.core.count):
            job = &self.core.jobs[i]
            at = i if order is None else <size_t>(<int64_t *>order.buffer.buf)[i]
            if at >= total:
                raise IndexError(f"index {at} is out of range for {total} sources")
            job.index = at
            if measures is not None:
                job.height = (<int32_t *>measures.buffer.buf)[2 * at]
                job.width = (<int32_t *>measures.buffer.buf)[2 * at + 1]
            job.source.size = UINT64_MAX
            start = (<uint64_t *>starts.buffer.buf)[at]
            if start == UINT64_MAX:
                data = self.sources.buffers[at]
                view = view_of(data, PyBUF_SIMPLE)
                self.keep.append(view)
                set_memory(&job.source, data, view)
                continue
            self.reads = True
            if start == UINT64_MAX - 1:
                self.core.by_caller = job.source.by_caller = True
                try:
                    job.source.size, job.source.alone = self.sources.describe(at)
                except Exception as error:
                    raise reader_error(error, str(self.sources[at]), at)
                continue
            job.source.path = paths + start
            if ranges is not None:
                job.source.offset = (<uint64_t *>ranges.buffer.buf)[2 * at]
                job.source.size = (<uint64_t *>ranges.buffer.buf)[2 * at + 1]
        return 0

    cdef int set_crops(self, crop, flip) except -1:
        cdef View boxes = None, flips = None
        cdef size_t i
        if crop is not None and not isinstance(crop, tuple):
            boxes = job_values(crop, self.core.count, sizeof(fi_crop))
        if not isinstance(flip, bool):
            flips = job_values(flip, self.core.count, 1)
        for i in range(self.core.count):
            self.core.jobs[i].flip = flip if flips is None else (<uint8_t *>flips.buffer.buf)[i] != 0
            if boxes is None:
                set_crop(&self.core.jobs[i].crop, crop)
            else:
                self.core.jobs[i].crop = (<fi_crop *>boxes.buffer.buf)[i]
        return 0

    def __dealloc__(self):
        if self.core.jobs != NULL:
            self.core.count = self.allocated  # set_output may have left out some
            fi_batch_free(&self.core)
        free(self.core.jobs)
        free(self.core.headers)

    def __len__(self):
        return self.core.count

    @property
    def decoders(self):
        """How many threads are going to call `run`."""
        return self.core.decoders

    @decoders.setter
    def decoders(self, unsigned count):
        self.core.decoders = count

    @property
    def only_headers(self):
        """Whether `run` reads no more than headers."""
        return self.core.headers != NULL

    @property
    def by_caller(self):
        """Whether any source is read by the caller."""
        return self.core.by_caller

    @property
    def done(self):
        """The number of jobs that have been run."""
        return self.core.done

    @property
    def finished(self):
        """Whether all jobs have been run or dropped, and no thread is at work on them."""
        return fi_batch_finished(&self.core)

    def join(self, Team team):
        """Lets the threads of a team, which call `run`, help one another with large images; None: no more."""
        self.team = team
        self.core.team = NULL if team is None else team.core

    def begin_decoding(self):
        """From now on `run` decodes; `set_output` must have been called by then."""
        free(self.core.headers)
        self.core.headers = NULL
        self.errors.clear()
        fi_batch_begin(&self.core)

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
            places = {}
            for i in range(self.core.count):
                dims[0], dims[1], dims[2] = shape[i]
                view = output_view(out[i], self.options, 3, dims)
                bind_output(view, self.options, 0, &self.core.jobs[i].out)
                self.keep.append(view)
                reject_same(places, view, i)
        else:
            dims[0], dims[1], dims[2], dims[3] = shape
            view = output_view(out, self.options, 4, dims)
            bind_output(view, self.options, 1, &first)
            self.keep.append(view)
            for i in range(self.core.count):
                self.core.jobs[i].out = first
                self.core.jobs[i].out.data = first.data + <Py_ssize_t>i * view.strides[0]
        if self.core.headers != NULL:
            self.core.count = count
            self.begin_decoding()

    def run(self, int64_t budget_ns):
        """Runs jobs until none is left or the time is over (0: no limit); any number of threads may call it at once."""
        cdef Decoder decoder = take_decoder()
        cdef SignalWatch watch
        cdef size_t other = 0
        watch_signals(&watch, decoder)
        while other != FI_NO_JOB:
            with nogil:
                other = fi_batch_run(&self.core, decoder.core, budget_ns)
            if other != FI_NO_JOB:
                self.fall_back(other, decoder)
                if budget_ns:
                    break
        try:
            ignore_signals(decoder)
        finally:
            give_back(decoder)
        if self.team is not None:
            self.team.raise_error()
        if self.core.out_of_memory:
            raise MemoryError("no memory left to describe a failure")

    cdef int fall_back(self, size_t position, Decoder decoder) except -1:
        """Has an image decoded that is none for the core."""
        cdef fi_job *job = &self.core.jobs[position]
        cdef fi_pixels pixels
        cdef View view = None
        cdef bint stop = True
        cdef int64_t ns = fi_now_ns()
        try:
            ident = get_ident()
            self.callers.append(ident)
            try:
                data = job.bytes.buffer.data[:job.nbytes] if job.is_read else None
                view = other_pixels(self.fallback, self.sources[job.index], data, self.options, &pixels)
            finally:
                self.callers.remove(ident)
        except BaseException as error:
            try:
                self.errors[position] = error
                stop = is_machine_fault(error)
            except BaseException:
                pass  # an errno of the caller's making, or no memory
        ns = fi_now_ns() - ns
        if view is None:
            fi_batch_refuse(&self.core, position, stop)
        else:
            with nogil:
                fi_batch_supply(&self.core, position, decoder.core, &pixels, ns)
        return 0

    def others(self):
        """The positions of images whose headers `run` could not read because they are none for the core."""
        return [i for i in range(self.core.count)
                if self.core.jobs[i].failure != NULL and fi_is_other(self.core.jobs[i].failure.status)]

    def set_header(self, size_t position, fields):
        """What the fallback says of such an image: the fields of a header, or an exception."""
        cdef fi_job *job = &self.core.jobs[position]
        cdef fi_header *header
        if self.core.headers == NULL or position >= self.core.count or job.failure == NULL:
            raise ValueError(f"expected an image whose header could not be read, found number {position}")
        if isinstance(fields, BaseException):
            self.errors[position] = fields
            return
        header = &self.core.headers[position]
        memset(header, 0, sizeof(fi_header))
        header.width, header.height, header.orientation, header.nbytes = fields
        header.color = FI_UNKNOWN
        fi_failure_free(job.failure)
        job.failure = NULL

    def is_current(self):
        """Whether this thread is in a reader or a fallback of the caller's, for an image of this batch."""
        return get_ident() in self.callers

    def cancel(self):
        """Drops all jobs; those under way end at the next row of MCUs."""
        with nogil:
            fi_batch_cancel(&self.core)

    def wait(self, double seconds):
        """Waits until `finished`, more reader threads are wanted, or the time is over, while readers have the batch."""
        cdef int64_t timeout = <int64_t>(seconds * 1e9)
        with nogil:
            fi_batch_wait(&self.core, timeout)

    def failures(self):
        """A list of Failure, in order of index."""
        if self.core.out_of_memory:  # a reader thread's, while no decoder ran
            raise MemoryError("no memory left to describe a failure")
        return [failure_of(self.core.jobs[i].failure, i, self.errors.get(i)) for i in range(self.core.count)
                if self.core.jobs[i].failure != NULL]

    def seen_sizes(self):
        """Heights and widths of the images before any crop, int32, (n, 2), after `run` has decoded them; else 0."""
        sizes = empty((self.core.count, 2), numpy.int32)
        cdef View view = view_of(sizes, PyBUF_WRITABLE)
        cdef int32_t *size = <int32_t *>view.buffer.buf
        cdef size_t i
        for i in range(self.core.count):
            size[2 * i] = self.core.jobs[i].height
            size[2 * i + 1] = self.core.jobs[i].width
        return sizes

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
