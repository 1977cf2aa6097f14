# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: the caller's arrays, checked before a byte is written.

cdef View output_view(out, Options options, int ndim, const Py_ssize_t *shape):
    """A writable view of `out`, which must have this shape; otherwise TypeError or ValueError."""
    cdef View view
    cdef int i
    cdef bint same
    if not PyObject_CheckBuffer(out):
        raise TypeError(
            f"out must have a writable buffer (an array, a memmap, tensor.numpy()), found {type(out).__name__}")
    try:
        view = view_of(out, PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE)
    except (BufferError, ValueError) as error:
        if getattr(getattr(out, "dtype", None), "name", None) == "bfloat16":  # the buffer protocol has no such type
            if options.core.dtype != FI_BFLOAT16:
                raise TypeError(f"out must have dtype {options.dtype_name}, found bfloat16") from None
            return output_view(out.view("uint16"), options, ndim, shape)
        if memoryview(out).readonly:
            raise ValueError(f"out must be writable, found a read-only {type(out).__name__}") from None
        raise ValueError(f"out must have a strided buffer: {error}") from None
    same = view.buffer.ndim == ndim
    for i in range(ndim if same else 0):
        same = same and view.buffer.shape[i] == shape[i]
    if not same:
        expected, found = tuple_of(ndim, shape), tuple_of(view.buffer.ndim, view.buffer.shape)
        raise ValueError(f"out must have shape {expected}, found {found}")
    for i in range(ndim - 1, -1, -1):
        if view.buffer.strides != NULL:
            view.strides[i] = view.buffer.strides[i]
        else:  # ctypes
            view.strides[i] = view.buffer.itemsize if i == ndim - 1 else view.strides[i + 1] * view.buffer.shape[i + 1]
    reject_overlap(view)
    return view


cdef int reject_overlap(View view) except -1:
    """Refuses an output of which two items may be one: what is written last would stand for both.

    A step along an axis must pass all that lies along the axes of smaller steps.
    """
    cdef Py_buffer *b = &view.buffer
    cdef Py_ssize_t span = b.itemsize, step, least
    cdef int done = 0, i, axis
    if b.len == 0:
        return 0
    while done != (1 << b.ndim) - 1:
        axis, least = -1, 0
        for i in range(b.ndim):
            step = view.strides[i] if b.shape[i] > 1 else 0
            if step < 0:  # abs() is Python's
                step = -step
            if not done >> i & 1 and (axis < 0 or step < least):
                axis, least = i, step
        done |= 1 << axis
        if b.shape[axis] > 1 and least < span:
            shape, strides = tuple_of(b.ndim, b.shape), tuple_of(b.ndim, view.strides)
            raise ValueError(f"out must not overlap itself, found shape {shape} with strides {strides}")
        span += least * (b.shape[axis] - 1)
    return 0


cdef int reject_same(dict places, View view, size_t position) except -1:
    """Refuses an output that begins where another one does; `places` are those of the ones before it."""
    if view.buffer.len:
        first = places.setdefault(<size_t>view.buffer.buf, position)
        if first != position:
            raise ValueError(f"out must be different arrays, found one at {first} and at {position}")
    return 0


cdef Py_ssize_t bind_output(View view, Options options, int first_axis, fi_output *target) except -1:
    """Checks the items and the strides of the image axes, which begin at `first_axis`, and fills `target`."""
    cdef Py_buffer *b = &view.buffer
    cdef int y = first_axis + (1 if options.planar else 0), x = y + 1
    cdef const fi_element *element = fi_element_of(options.core.dtype)
    cdef Py_ssize_t item = element.nbytes, pixel = item if options.planar else item * options.channels
    cdef const char *format = b.format
    if format == NULL:
        format = b"B"
    if format[0] in NATIVE:
        format += 1
    if format[0] != element.format or format[1] != 0 or b.itemsize != item:
        raise TypeError(f"out must have dtype {options.dtype_name}, found {dtype_name(b.format)}")
    if (b.shape[x] > 1 and view.strides[x] != pixel) or (
            not options.planar and options.channels > 1 and view.strides[x + 1] != item):
        strides = tuple_of(b.ndim, view.strides)
        raise ValueError(f"out must have rows of contiguous pixels, found strides {strides}")
    target.data = <uint8_t *>b.buf
    target.plane_stride = view.strides[first_axis] if options.planar else 0
    target.row_stride = view.strides[y]
    target.height = b.shape[y]
    target.width = b.shape[x]
    return 0


cdef void bind_fresh(View view, Options options, uint32_t height, uint32_t width, fi_output *target) noexcept:
    """Fills `target` from an array of one image that has just been made, in C order."""
    cdef Py_ssize_t item = fi_element_of(options.core.dtype).nbytes
    target.data = <uint8_t *>view.buffer.buf
    target.row_stride = item * width * (1 if options.planar else options.channels)
    target.plane_stride = target.row_stride * height if options.planar else 0
    target.height = height
    target.width = width


cdef object dtype_name(bytes encoded):
    cdef str format = encoded.decode("ascii", "replace")
    try:
        return numpy.dtype(format)
    except TypeError:  # NumPy and the buffer protocol spell some formats differently
        return FORMAT_NAMES.get(format, f"buffer format {format!r}")
