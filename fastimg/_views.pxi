# SPDX-License-Identifier: BSD-3-Clause
# Part of _decode.pyx: many images, each in several views.

cdef class ViewBatch(Batch):
    """A batch whose images are decoded into several outputs each.

    Its options are those that all views share; crop, flip and boxes are those of `set_views`, which comes before
    `run`.
    """
    cdef list view_options
    cdef fi_random_boxes *view_boxes

    def __dealloc__(self):
        free(self.core.views)
        free(self.view_boxes)

    def set_views(self, list views, list boxes=None, geometry=None):
        """What becomes of each image.

        Parameters
        ----------
        views : list of (options, crop, flip)
            At least one; crop and flip as for `Batch`.
        boxes : list of tuple, optional
            One for each view, as for `Batch`.
        geometry : float64 ndarray, (n, views, 2, 3), optional
            As for `Batch`, of each view.
        """
        cdef size_t n = len(views), v, i
        cdef View crops, flips
        cdef Options options
        cdef fi_view *view
        self.core.view_count = n
        self.core.views = <fi_view *>calloc(self.core.count * n or 1, sizeof(fi_view))
        self.view_boxes = <fi_random_boxes *>calloc(n, sizeof(fi_random_boxes))
        if self.core.views == NULL or self.view_boxes == NULL:
            raise MemoryError("no memory for the list of views")
        self.view_options = []
        for v in range(n):
            options, crop, flip = views[v]
            self.view_options.append(options)
            crops = flips = None
            if crop is not None and not isinstance(crop, tuple):
                crops = job_values(crop, self.core.count, sizeof(fi_crop))
            if not isinstance(flip, bool):
                flips = job_values(flip, self.core.count, 1)
            for i in range(self.core.count):
                view = &self.core.views[i * n + v]
                view.options = &options.core
                view.flip = flip if flips is None else (<uint8_t *>flips.buffer.buf)[i] != 0
                if crops is None:
                    set_crop(&view.crop, crop)
                else:
                    view.crop = (<fi_crop *>crops.buffer.buf)[i]
        if boxes is not None:
            for v in range(n):
                set_boxes(&self.view_boxes[v], boxes[v])
            self.core.boxes = self.view_boxes
        if geometry is not None:
            self.keep.append(job_values(geometry, self.core.count * n, 6 * sizeof(double)))
            self.core.geometry = <double (*)[2][3]>(<View>self.keep[-1]).buffer.buf

    def set_output(self, outs, shapes):
        """From now on `run` decodes, into a list of arrays with a list of shapes, one for each view."""
        cdef size_t n = self.core.view_count, v, i
        cdef Py_ssize_t dims[4]
        cdef fi_output first
        cdef fi_output *out
        cdef View view
        cdef Options options
        places = {}
        for v in range(n):
            options = self.view_options[v]
            dims[0], dims[1], dims[2], dims[3] = shapes[v]
            try:
                view = output_view(outs[v], options, 4, dims)
                bind_output(view, options, 1, &first)
                reject_same(places, view, v)
            except (TypeError, ValueError) as error:
                raise type(error)(f"view {v}: {error}") from None
            self.keep.append(view)
            for i in range(self.core.count):
                out = &self.core.views[i * n + v].out
                out[0] = first
                out.data = first.data + <Py_ssize_t>i * view.strides[0]
        if self.core.headers != NULL:
            self.begin_decoding()
