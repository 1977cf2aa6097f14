# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: signals, such as Ctrl-C, that arrive while the main thread decodes.

cdef extern from "Python.h" nogil:
    unsigned long PyThread_get_thread_ident()

cdef int64_t LOOK_NS = 20_000_000  # between two looks for signals
cdef unsigned long main_thread = threading.main_thread().ident


cdef set_main_thread():
    """After a fork, the thread that called it is the main one."""
    global main_thread
    main_thread = get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: set_main_thread())


cdef struct SignalWatch:
    unsigned rows
    int64_t next  # 0: the clock has not been looked at yet
    void *decoder


cdef c_bool is_interrupted(void *context) noexcept nogil:
    cdef SignalWatch *watch = <SignalWatch *>context
    watch.rows += 1
    if watch.rows % 8:  # the clock is not free, and rows may be of a few pixels
        return False
    cdef int64_t now = fi_now_ns()
    if now < watch.next:
        return False
    cdef bint is_first = watch.next == 0
    watch.next = now + LOOK_NS
    return not is_first and run_handlers(watch.decoder)


cdef bint run_handlers(void *decoder) noexcept with gil:
    """Runs the handlers of signals that have arrived. True: one has raised."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<Decoder>decoder).raised = error
        return True
    return False


cdef void watch_signals(SignalWatch *watch, Decoder decoder) noexcept:
    """Lets signals interrupt what the decoder decodes, and its batch. Only the main thread runs handlers."""
    cdef fi_watch asked
    if PyThread_get_thread_ident() != main_thread:
        return
    watch.rows = 0
    watch.next = 0
    watch.decoder = <void *>decoder
    asked.stop = is_interrupted
    asked.context = watch
    fi_decoder_watch(decoder.core, asked)


cdef int ignore_signals(Decoder decoder) except -1:
    """Ends that, and raises what a handler has raised."""
    cdef fi_watch nothing
    nothing.stop = NULL
    nothing.context = NULL
    fi_decoder_watch(decoder.core, nothing)
    if decoder.raised is not None:
        error, decoder.raised = decoder.raised, None
        raise error
    return 0


cdef fi_status decode_open(Decoder decoder, Options options, const fi_crop *crop, bint flip, const fi_output *out,
                           fi_failure *failure) except *:
    """fi_decode(), which signals interrupt."""
    cdef SignalWatch watch
    cdef fi_status status
    watch_signals(&watch, decoder)
    with nogil:
        status = fi_decode(decoder.core, &options.core, crop, flip, out, failure)
    ignore_signals(decoder)
    return status
