# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, binding=False, embedsignature=False, autotestdict=False
# cython: freethreading_compatible=True
"""The compiled half of fastimg: coerce, check, release the GIL, make one call into the core, check its status."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AsString, PyBytes_Size
from cpython.exc cimport PyErr_CheckSignals
from cpython.tuple cimport PyTuple_GetItem, PyTuple_Size
from libc.math cimport ceil
from libc.stdint cimport UINT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastimg._fi cimport *

import os
import sys
import threading
from collections import deque
from importlib import import_module
from _thread import allocate_lock, get_ident, start_new_thread

import numpy
from numpy import empty

from fastimg.errors import Failure, ImageError, fallback_error, is_machine_fault, make_error, reader_error
from fastimg.sources import FileRange, ReaderItem, check_buffer, encode_path, open_url

cdef bytes NATIVE = b"@=<" if sys.byteorder == "little" else b"@=>"  # prefixes of this machine's byte order
cdef dict FORMAT_NAMES = {"Zf": "complex64", "Zd": "complex128"}
# With the limited API, Cython runs a line of Python to put itself into a traceback. If a signal's handler raises just
# then, or there is no memory, there is none, and `except` clauses would release NULL.
cdef extern from *:
    """
    #undef Py_DECREF
    #define Py_DECREF(object) Py_XDECREF((PyObject *)(object))
    """

# Their methods are atomic, with or without the GIL. The oldest is freed when there are too many.
cdef object idle = deque(maxlen=8)
cdef object pop_idle = idle.pop, add_idle = idle.append

# Of so few bytes, the header is read in less time than other threads would gain.
cdef uint64_t QUICK_NBYTES = 65536


cdef unsigned parse_cpu(bytes words) except? 0:
    """The CPU features that FASTIMG_CPU allows."""
    cdef unsigned features = 0
    cdef const char *unknown = NULL
    cdef size_t nbytes = 0
    if not fi_cpu_parse(words, &features, &unknown, &nbytes):
        raise ImportError(
            f"FASTIMG_CPU: expected words of {fi_cpu_words().decode('ascii')}, each perhaps after a -, "
            f"found {unknown[:nbytes].decode('ascii', 'replace')!r}")
    return features


cdef bint use_libjpeg(str entropy) except *:
    """Whether FASTIMG_ENTROPY turns the core's own stages off."""
    if entropy not in ("", "fastimg", "libjpeg"):
        raise ImportError(f"FASTIMG_ENTROPY: expected 'fastimg' or 'libjpeg', found {entropy!r}")
    return entropy == "libjpeg"


fi_init(parse_cpu(os.fsencode(os.environ.get("FASTIMG_CPU", ""))))

cdef bint USE_LIBJPEG = use_libjpeg(os.environ.get("FASTIMG_ENTROPY", "")) or not fi_hooks_verified()


cdef class View:
    """Owns a view of another object's memory."""
    cdef Py_buffer buffer
    cdef Py_ssize_t strides[4]  # of an output, even if its owner omits them
    cdef bint held

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.buffer)


cdef View view_of(source, int flags):
    cdef View view = View.__new__(View)
    PyObject_GetBuffer(source, &view.buffer, flags)
    view.held = True
    return view


cdef class Decoder:
    """Owns a fi_decoder."""
    cdef fi_decoder *core
    cdef object raised  # by a signal's handler, while it decoded

    def __cinit__(self):
        self.core = fi_decoder_new()
        if self.core == NULL:
            raise MemoryError("no memory for a decoder")

    def __dealloc__(self):
        fi_decoder_free(self.core)


cdef Decoder take_decoder():
    if idle:
        try:
            return pop_idle()
        except IndexError:  # another thread has taken the last one meanwhile
            pass
    return Decoder()


cdef int give_back(Decoder decoder) except -1:
    fi_decoder_trim(decoder.core)
    add_idle(decoder)
    return 0


include "_options.pxi"


include "_signals.pxi"


cdef object failure_of(const fi_failure *failure, Py_ssize_t index, error=None):
    cdef bytes text = failure.text
    return Failure(
        index, fi_status_name(failure.status).decode("ascii"), failure.os_errno,
        (failure.detail[0], failure.detail[1], failure.detail[2], failure.detail[3]),
        text.decode("ascii", "replace"), error,
    )


cdef int set_memory(fi_source *target, source, View view) except -1:
    """Makes the memory of a bytes-like object the source; only that of `bytes` can be trusted to stay as it is."""
    target.data = <const uint8_t *>view.buffer.buf
    target.size = view.buffer.len
    target.may_change = type(source) is not bytes and not (type(source) is memoryview and type(source.obj) is bytes)
    return 0


cdef object coerce(source, fi_source *target):
    """Fills `target`, and returns what must be kept alive while it is used."""
    cdef bytes path
    cdef View view
    memset(target, 0, sizeof(fi_source))
    target.size = UINT64_MAX
    if type(source) is bytes:
        target.data = <const uint8_t *>PyBytes_AsString(source)
        target.size = PyBytes_Size(source)
        return source
    source = open_url(source)
    if isinstance(source, ReaderItem):
        try:
            data = source.read()
            view = view_of(data, PyBUF_SIMPLE)
        except Exception as error:
            raise reader_error(error, str(source), None)
        set_memory(target, data, view)
        return view
    if isinstance(source, FileRange):
        path = encode_path(source.path)
        target.offset = source.offset
        target.size = source.size
    elif isinstance(source, str) or not PyObject_CheckBuffer(source) and hasattr(source, "__fspath__"):
        path = encode_path(source)
    else:
        check_buffer(source)
        view = view_of(source, PyBUF_SIMPLE)
        set_memory(target, source, view)
        return view
    target.path = PyBytes_AsString(path)
    return path


include "_outputs.pxi"


cdef fi_status open_source(Decoder decoder, const fi_source *source, Options options, fi_failure *failure) noexcept:
    """fi_open(), without the GIL where it may take long."""
    cdef fi_status status
    if source.path == NULL and not source.may_change and source.size <= QUICK_NBYTES:
        return fi_open(decoder.core, source, options.core.max_pixels, failure)
    with nogil:
        status = fi_open(decoder.core, source, options.core.max_pixels, failure)
    return status


cdef tuple tuple_of(int count, const Py_ssize_t *numbers):
    if count == 3:  # quicker
        return numbers[0], numbers[1], numbers[2]
    return tuple([numbers[i] for i in range(count)])


cdef int set_crop(fi_crop *target, crop) except -1:
    memset(target, 0, sizeof(fi_crop))
    if crop is not None:
        target.top, target.left, target.height, target.width = crop
    return 0


cdef View other_pixels(fallback, source, data, Options options, fi_pixels *pixels):
    """An image that the core does not decode, as pixels, and a view of these."""
    cdef View view
    array, orientation = fallback.decode(
        source, data, options.core.max_pixels, options.values["pad_value"], options.values["mode"])
    view = view_of(array, PyBUF_ND | PyBUF_FORMAT)
    cdef Py_buffer *b = &view.buffer
    if b.itemsize != 1 or b.ndim not in (2, 3) or (b.ndim == 3 and b.shape[2] != 3) or not 1 <= orientation <= 8:
        raise TypeError(f"fallback must give uint8 pixels, (H, W) or (H, W, 3), found shape {array.shape}")
    pixels.data = <const uint8_t *>b.buf
    pixels.channels = 1 if b.ndim == 2 else 3
    pixels.height = b.shape[0]
    pixels.width = b.shape[1]
    pixels.stride = b.shape[1] * pixels.channels
    pixels.orientation = orientation
    return view


def decode(source, out, Options options not None, crop, bint flip, bint batched, fallback=None, num_threads=1):
    """Decodes one image into `out`, or into a fresh array if that is None, and returns the array.

    `batched`: the array is a batch of one, with an axis before those of the image. `fallback`: as for `Batch`.
    """
    cdef fi_source core_source
    cdef fi_crop core_crop
    cdef fi_output output
    cdef fi_plan plan
    cdef fi_failure failure
    cdef fi_status status
    cdef Py_ssize_t shape[4]
    cdef View view
    cdef Decoder decoder
    cdef fi_pixels pixels
    cdef bint supplied = False
    cdef object array = None
    cdef object _keep = coerce(source, &core_source)
    cdef object index = 0 if batched else None
    set_crop(&core_crop, crop)
    memset(&failure, 0, sizeof(failure))
    decoder = take_decoder()
    try:
        status = open_source(decoder, &core_source, options, &failure)
        while True:
            if not supplied and fallback is not None and fi_is_other(status):
                supplied = True
                try:
                    _pixels = other_pixels(fallback, source, None, options, &pixels)
                except Exception as error:
                    raise fallback_error(error, source, index)
                memset(&failure, 0, sizeof(failure))
                status = fi_open_pixels(decoder.core, &pixels, options.core.max_pixels, &failure)
            if status == FI_OK:
                status = fi_plan_make(
                    &plan, fi_decoder_header(decoder.core), &options.core, &core_crop, flip, &failure)
            if status == FI_OK:
                shape[0] = 1
                set_shape(options, plan.out_height, plan.out_width, shape + batched)
                if out is None:
                    array = empty(tuple_of(3 + batched, shape), options.dtype)
                    view = view_of(array, PyBUF_WRITABLE)
                    bind_fresh(view, options, plan.out_height, plan.out_width, &output)
                else:
                    array = out
                    view = output_view(array, options, 3 + batched, shape)
                    bind_output(view, options, batched, &output)
                status = decode_together(decoder, num_threads, options, &core_crop, flip, &output, &failure)
            # libjpeg refuses some files, such as those of odd sampling factors, only when it begins to decode.
            if supplied or fallback is None or not fi_is_other(status):
                break
    finally:
        give_back(decoder)
    if status != FI_OK:
        raise make_error(failure_of(&failure, 0), source, index)
    return array


def verify(source, Options options not None):
    """Decodes an image and keeps nothing of it.

    Returns a tuple of str, the warnings that cost no pixels; the number of warnings of any kind; and whether the core
    fell back to libjpeg-turbo's entropy decoder, so that the image was decoded twice.
    """
    cdef fi_source core_source
    cdef fi_crop core_crop
    cdef fi_output output
    cdef fi_failure failure
    cdef fi_status status
    cdef Decoder decoder
    cdef object _keep = coerce(source, &core_source)
    cdef bytes warnings = b""
    cdef long count = 0
    cdef bint fell_back = False
    set_crop(&core_crop, None)
    memset(&output, 0, sizeof(output))
    memset(&failure, 0, sizeof(failure))
    decoder = take_decoder()
    try:
        status = open_source(decoder, &core_source, options, &failure)
        if status == FI_OK:
            status = decode_open(decoder, options, &core_crop, False, &output, &failure)
        if status == FI_OK:
            warnings = fi_decoder_warnings(decoder.core)
            count = fi_decoder_warning_count(decoder.core)
            fell_back = fi_decoder_fell_back(decoder.core)
    finally:
        give_back(decoder)
    if status != FI_OK:
        raise make_error(failure_of(&failure, 0), source, None)
    return tuple(warnings.decode("ascii", "replace").splitlines()), count, fell_back


cdef tuple header_fields(const fi_header *header):
    return (
        header.width, header.height, header.components, COLORS[header.color], header.sof, header.precision,
        header.restart_interval, header.orientation, header.nbytes,
        tuple([(header.h_samp[i], header.v_samp[i]) for i in range(min(header.components, 4))]),
    )


def read_header(source):
    """The fields of `fastimg.header.Header` as the file has them, before any orientation."""
    cdef fi_source core_source
    cdef fi_header header
    cdef fi_failure failure
    cdef fi_status status
    cdef Decoder decoder
    cdef object _keep = coerce(source, &core_source)
    memset(&failure, 0, sizeof(failure))
    decoder = take_decoder()
    try:
        with nogil:
            status = fi_read_header(decoder.core, &core_source, 0, &header, &failure)
    finally:
        give_back(decoder)
    if status != FI_OK:
        raise make_error(failure_of(&failure, 0), source, None)
    return header_fields(&header)


include "_boxes.pxi"
include "_batch.pxi"
include "_views.pxi"
include "_threads.pxi"
include "_team.pxi"


def libjpeg_version(unknown):
    """The version of the libjpeg-turbo that is loaded; `unknown` if it does not say."""
    cdef size_t nbytes = 0
    cdef const char *version = fi_libjpeg_version(&nbytes)
    return unknown if version == NULL else version[:nbytes].decode("ascii")


# The kernels in use, the libjpeg-turbo this was built with, and the entropy stage.
core_info = (
    fi_kernels_name().decode("ascii"),
    fi_libjpeg_built_version().decode("ascii"),
    "libjpeg" if USE_LIBJPEG else "fastimg",
)
