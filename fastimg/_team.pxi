# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: threads that decode one large image together.

cdef uint64_t MIN_PART_PIXELS = 2_000_000
cdef size_t PART_NBYTES = 0
cdef size_t decoded_together = 0


cdef int set_parts(str words) except -1:
    """FASTIMG_PARTS, for tests: the least pixels of an image for several threads, and bytes of a part of its scan."""
    global MIN_PART_PIXELS, PART_NBYTES
    if not words:
        return 0
    pixels, _, nbytes = words.partition(",")
    if not pixels.isdecimal() or not nbytes.isdecimal():
        raise ImportError(f"FASTIMG_PARTS: expected two numbers, found {words!r}")
    MIN_PART_PIXELS = int(pixels)
    PART_NBYTES = int(nbytes)
    return 0


set_parts(os.environ.get("FASTIMG_PARTS", ""))


cdef c_bool grow_team(void *team, size_t threads) noexcept with gil:
    """Starts so many threads, if there may be; False: a signal's handler has raised."""
    try:
        (<Team>team).start(min(threads, <size_t>(<Team>team).most))
    except MemoryError:
        pass
    except BaseException as error:
        (<Team>team).raiser = PyThread_get_thread_ident()
        (<Team>team).raised = error
        return False
    return True


cdef class Team:
    """Owns a fi_team, and starts its threads as soon as an image is large enough for them.

    Parameters
    ----------
    most : int
        How many threads there may be besides those that lead.
    group : ThreadGroup
        Where they are started.
    work : callable, optional
        What each of them calls, instead of `help`.
    """
    cdef fi_team *core
    cdef readonly int most
    cdef readonly int started
    cdef ThreadGroup group
    cdef object work
    cdef object starting
    cdef object raised
    cdef unsigned long raiser

    def __cinit__(self, int most, ThreadGroup group not None, work=None):
        cdef fi_team_options options
        self.most = most
        self.group = group
        self.work = work
        self.starting = allocate_lock()
        options.threads = most + 1
        options.min_pixels = MIN_PART_PIXELS
        options.part_nbytes = PART_NBYTES
        options.grow = grow_team
        options.context = <void *>self
        self.core = fi_team_new(&options)
        if self.core == NULL:
            raise MemoryError("no memory for threads")

    def __dealloc__(self):
        fi_team_free(self.core)

    @property
    def count(self):
        """How many images the threads have decoded together."""
        return fi_team_image_count(self.core)

    def start(self, int count):
        """Sees that this many threads have been started."""
        self.starting.acquire()
        try:
            more = count - self.started
            if more > 0:
                self.started = count
                self.group.start(self.help if self.work is None else self.work, more)
        finally:
            self.starting.release()

    def help(self):
        """Works on images until nobody leads any more."""
        cdef Decoder decoder = take_decoder()
        with nogil:
            fi_decoder_follow(decoder.core, self.core)
        give_back(decoder)

    cdef int raise_error(self) except -1:
        """Raises what a signal's handler has raised while this thread started others."""
        if self.raised is not None and self.raiser == PyThread_get_thread_ident():
            error, self.raised = self.raised, None
            raise error
        return 0


cdef fi_status decode_together(Decoder decoder, num_threads, Options options, const fi_crop *crop, bint flip,
                               const fi_output *out, fi_failure *failure) except *:
    """decode_open() in up to `num_threads` threads, of which none outlives the call."""
    global decoded_together
    cdef fi_status status
    cdef const fi_header *header = fi_decoder_header(decoder.core)
    if num_threads < 2 or <uint64_t>header.width * header.height < MIN_PART_PIXELS:
        return decode_open(decoder, options, crop, flip, out, failure)
    group = ThreadGroup()
    cdef Team team = Team(num_threads - 1, group)
    fi_team_lead(team.core)
    fi_decoder_join(decoder.core, team.core)
    try:
        status = decode_open(decoder, options, crop, flip, out, failure)
    finally:
        fi_decoder_join(decoder.core, NULL)
        fi_team_leave(team.core)  # without a method's object, which takes memory
        group.join()
    team.raise_error()
    decoded_together += fi_team_image_count(team.core)
    return status


def count_decoded_together():
    """How many images `decode` has decoded in several threads, for tests."""
    return decoded_together
