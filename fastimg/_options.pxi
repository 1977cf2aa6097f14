# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: the options, from words to the core's struct.

# The words of the options, defaults first, and of headers, and the core's numbers for them.
MODES = {"RGB": FI_MODE_RGB, "BGR": FI_MODE_BGR, "L": FI_MODE_L}
LAYOUTS = {"CHW": FI_CHW, "HWC": FI_HWC}
DTYPES = {"uint8": FI_UINT8, "float32": FI_FLOAT32, "float16": FI_FLOAT16, "bfloat16": FI_BFLOAT16}
FITS = {"stretch": FI_STRETCH, "cover": FI_COVER, "contain": FI_CONTAIN}
FILTERS = {
    "bilinear": FI_BILINEAR, "box": FI_BOX, "hamming": FI_HAMMING, "bicubic": FI_BICUBIC, "lanczos": FI_LANCZOS,
}
cdef dict COLORS = {
    FI_GRAYSCALE: "grayscale", FI_YCBCR: "YCbCr", FI_RGB: "RGB", FI_CMYK: "CMYK", FI_YCCK: "YCCK",
    FI_UNKNOWN: "unknown",
}


cdef class Options:
    """Options as the core takes them.

    Parameters
    ----------
    mode, layout, fit, resample, dtype : str
        A key of MODES, LAYOUTS, FITS, FILTERS, DTYPES.
    size, center_crop : (height, width) or None
    resize_shorter, resize_longer : int or None
    reducing_gap : float or None
    pad_value, mean, std : tuple
        One value, or one per channel.
    table : bytes
        The output for each pixel value: 3 x 256 items of `dtype`; empty for uint8.

    Attributes
    ----------
    dtype : numpy.dtype
        ImportError if it is bfloat16 and ml_dtypes is missing.
    storage : numpy.dtype
        The dtype of its buffer: uint16 for bfloat16.
    size : (height, width) or None
        Of every result, if the options say it.
    resizes : bool
        Whether images are resampled to a size of the caller's.
    channels : int
        Of the output.
    planar : bool
    upright : bool
        Whether the orientation is applied.
    """
    cdef fi_options core
    cdef str dtype_name
    cdef readonly object storage
    cdef readonly object size
    cdef readonly bint resizes
    cdef readonly int channels
    cdef readonly bint planar

    @property
    def upright(self):
        return self.core.orient

    def __cinit__(self, *, str mode, str layout, tuple size, resize_shorter, resize_longer, tuple center_crop, str fit,
                  str resample, reducing_gap, tuple pad_value, bint orient, str dtype, tuple mean, tuple std,
                  bint strict, max_pixels, max_scans, free_scans, max_scanned, max_missing, bytes table):
        cdef int i
        memset(&self.core, 0, sizeof(self.core))
        self.core.mode = <fi_mode><int>MODES[mode]
        self.core.layout = <fi_layout><int>LAYOUTS[layout]
        self.core.dtype = <fi_dtype><int>DTYPES[dtype]
        self.core.fit = <fi_fit><int>FITS[fit]
        self.core.resample = <fi_filter><int>FILTERS[resample]
        if size is not None:
            self.core.height, self.core.width = size
        self.core.shorter = resize_shorter or 0
        self.core.longer = resize_longer or 0
        if center_crop is not None:
            self.core.center_height, self.core.center_width = center_crop
        if reducing_gap is not None:
            self.core.reducing_gap = reducing_gap
        for i in range(3):
            self.core.pad[i] = pad_value[i % len(pad_value)]
            self.core.mean[i] = mean[i % len(mean)]
            self.core.std[i] = std[i % len(std)]
        self.core.orient = orient
        self.core.strict = strict
        self.core.use_libjpeg_entropy = USE_LIBJPEG
        self.core.max_pixels = max_pixels
        self.core.max_scans = max_scans
        self.core.free_scans = free_scans
        self.core.max_scanned = max_scanned
        self.core.max_missing = max_missing
        memcpy(&self.core.table, PyBytes_AsString(table), PyBytes_Size(table))
        self.dtype_name = dtype
        self.storage = numpy.dtype(chr(fi_element_of(self.core.dtype).format))
        self.size = size or center_crop
        self.resizes = bool(size or resize_shorter or resize_longer)
        self.channels = fi_channels(&self.core)
        self.planar = self.core.layout == FI_CHW

    @property
    def dtype(self):
        return self.storage if self.core.dtype != FI_BFLOAT16 else bfloat16()

    def shape(self, Py_ssize_t height, Py_ssize_t width):
        """The shape of one image."""
        cdef Py_ssize_t shape[3]
        set_shape(self, height, width, shape)
        return tuple_of(3, shape)

    def result_sizes(self, sizes):
        """Heights and widths, int64, (n, 2), that images or crops of these sizes, float64, (n, 2), become.

        -1 where that would be too large.
        """
        cdef View view = view_of(sizes, PyBUF_SIMPLE), target
        cdef size_t i, count = view.buffer.len // (2 * sizeof(double))
        cdef fi_crop crop
        cdef fi_header header
        cdef fi_plan plan
        cdef fi_failure failure
        cdef int64_t *found
        results = empty((count, 2), numpy.int64)
        target = view_of(results, PyBUF_WRITABLE)
        found = <int64_t *>target.buffer.buf
        memset(&header, 0, sizeof(header))
        memset(&failure, 0, sizeof(failure))
        memset(&crop, 0, sizeof(crop))
        header.orientation = 1
        for i in range(count):
            crop.height, crop.width = (<double *>view.buffer.buf)[2 * i], (<double *>view.buffer.buf)[2 * i + 1]
            header.height = <uint32_t>ceil(crop.height)
            header.width = <uint32_t>ceil(crop.width)
            found[2 * i] = found[2 * i + 1] = -1
            if fi_plan_make(&plan, &header, &self.core, &crop, False, &failure) == FI_OK:
                found[2 * i] = plan.out_height
                found[2 * i + 1] = plan.out_width
        return results


cdef object bfloat16():
    try:
        ml_dtypes = import_module("ml_dtypes")
    except ImportError:
        raise ImportError(
            "arrays of dtype bfloat16 need the package ml_dtypes (pip install ml_dtypes); "
            "without it, give out= an array of uint16") from None
    return numpy.dtype(ml_dtypes.bfloat16)


cdef void set_shape(Options options, Py_ssize_t height, Py_ssize_t width, Py_ssize_t *shape) noexcept:
    cdef int y = 1 if options.planar else 0
    shape[y] = height
    shape[y + 1] = width
    shape[0 if options.planar else 2] = options.channels


cdef class Memo:
    """Calls ``function(*given)``, or returns its last result if `given` holds the same objects as last time.

    Parameters
    ----------
    function : callable
    """
    cdef object function
    cdef list last  # one tuple, result and arguments: replacing it is atomic, with or without the GIL

    def __cinit__(self, function):
        self.function = function
        self.last = [(None,)]

    def __call__(self, tuple given not None):
        cdef tuple last = self.last[0]
        cdef Py_ssize_t count = PyTuple_Size(given), i = 0
        if PyTuple_Size(last) == count + 1:
            while i < count and PyTuple_GetItem(given, i) is PyTuple_GetItem(last, i + 1):
                i += 1
            if i == count:
                return last[0]
        result = self.function(*given)
        try:
            hash(given)
        except TypeError:
            return result  # such as a list, which may change in place
        self.last[0] = (result, *given)
        return result
