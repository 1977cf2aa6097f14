# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: random boxes for images whose sizes are known.

cdef int set_boxes(fi_random_boxes *boxes, tuple given) except -1:
    """From (scale, ratio, flip, key), checked already."""
    boxes.scale[0], boxes.scale[1] = given[0]
    boxes.ratio[0], boxes.ratio[1] = given[1]
    boxes.flip = given[2]
    boxes.key = given[3]
    return 0


cdef int store_box(int64_t *target, const fi_crop *box) noexcept:
    target[0] = <int64_t>box.top
    target[1] = <int64_t>box.left
    target[2] = <int64_t>box.height
    target[3] = <int64_t>box.width
    return 0


def draw_boxes(sizes, indices, tuple boxes):
    """Boxes, int64, (n, 4), and flips, bool, (n,), for images of these sizes, int64, (n, 2), and indices, int64."""
    cdef fi_random_boxes given
    cdef fi_crop box
    cdef c_bool flip = False
    cdef View order = view_of(indices, PyBUF_SIMPLE)
    cdef size_t i, count = order.buffer.len // sizeof(int64_t)
    cdef View size = job_values(sizes, count, 2 * sizeof(int64_t))
    drawn, flips = empty((count, 4), numpy.int64), empty(count, numpy.bool_)
    cdef View targets = view_of(drawn, PyBUF_WRITABLE), mirrors = view_of(flips, PyBUF_WRITABLE)
    set_boxes(&given, boxes)
    for i in range(count):
        fi_box_draw(
            &given, (<int64_t *>order.buffer.buf)[i], (<int64_t *>size.buffer.buf)[2 * i],
            (<int64_t *>size.buffer.buf)[2 * i + 1], &box, &flip)
        store_box(<int64_t *>targets.buffer.buf + 4 * i, &box)
        (<uint8_t *>mirrors.buffer.buf)[i] = flip
    return drawn, flips


def fit_boxes(sizes, draws, tuple boxes):
    """Boxes, int64, (n, 4), of numbers from [0, 1), float64, (n, 4), and whether each fits, bool, (n,).

    `draws` may be None: central boxes, which always fit.
    """
    cdef fi_random_boxes given
    cdef fi_crop box
    cdef View size = view_of(sizes, PyBUF_SIMPLE), numbers = None
    cdef size_t i, count = size.buffer.len // (2 * sizeof(int64_t))
    cdef int64_t height, width
    if draws is not None:
        numbers = job_values(draws, count, 4 * sizeof(double))
    made, fits = empty((count, 4), numpy.int64), empty(count, numpy.bool_)
    cdef View targets = view_of(made, PyBUF_WRITABLE), marks = view_of(fits, PyBUF_WRITABLE)
    set_boxes(&given, boxes)
    for i in range(count):
        height, width = (<int64_t *>size.buffer.buf)[2 * i], (<int64_t *>size.buffer.buf)[2 * i + 1]
        (<uint8_t *>marks.buffer.buf)[i] = True
        if numbers is None:
            box = fi_box_central(&given, height, width)
        else:
            memset(&box, 0, sizeof(box))
            (<uint8_t *>marks.buffer.buf)[i] = fi_box_fit(
                &given, height, width, <double *>numbers.buffer.buf + 4 * i, &box)
        store_box(<int64_t *>targets.buffer.buf + 4 * i, &box)
    return made, fits
