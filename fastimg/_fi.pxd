# SPDX-License-Identifier: BSD-3-Clause
# The core's contract, as far as the extension uses it. The manual is _core/fi.h.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "_core/fi.h" nogil:
    ctypedef unsigned char c_bool "bool"

    ctypedef enum fi_status:
        FI_OK

    ctypedef enum fi_mode:
        FI_MODE_RGB, FI_MODE_BGR, FI_MODE_L

    ctypedef enum fi_layout:
        FI_CHW, FI_HWC

    ctypedef enum fi_dtype:
        FI_UINT8, FI_FLOAT32, FI_FLOAT16, FI_BFLOAT16

    ctypedef enum fi_fit:
        FI_STRETCH, FI_COVER, FI_CONTAIN

    ctypedef enum fi_filter:
        FI_BILINEAR, FI_BOX, FI_HAMMING, FI_BICUBIC, FI_LANCZOS

    ctypedef enum fi_color:
        FI_GRAYSCALE, FI_YCBCR, FI_RGB, FI_CMYK, FI_YCCK, FI_UNKNOWN

    ctypedef struct fi_failure:
        fi_status status
        int os_errno
        int64_t detail[4]
        char text[200]

    ctypedef struct fi_source:
        const char *path
        const uint8_t *data
        uint64_t offset
        uint64_t size
        bint by_caller
        bint alone
        bint may_change

    ctypedef struct fi_header:
        uint64_t nbytes
        uint32_t width
        uint32_t height
        fi_color color
        uint16_t restart_interval
        uint8_t components
        uint8_t precision
        uint8_t sof
        uint8_t orientation
        uint8_t h_samp[4]
        uint8_t v_samp[4]

    ctypedef struct fi_options:
        fi_mode mode
        fi_layout layout
        fi_dtype dtype
        fi_fit fit
        fi_filter resample
        uint32_t height
        uint32_t width
        uint32_t shorter
        uint32_t longer
        uint32_t center_height
        uint32_t center_width
        double reducing_gap
        uint8_t pad[3]
        bint orient
        bint strict
        bint use_libjpeg_entropy
        uint32_t max_scans
        uint32_t free_scans
        uint64_t max_scanned
        uint64_t max_missing
        uint64_t max_pixels
        float[3] mean
        float[3] std
        char table  # only its address is used

    ctypedef struct fi_crop:
        double top
        double left
        double height
        double width

    ctypedef struct fi_plan:
        uint32_t out_height
        uint32_t out_width

    ctypedef struct fi_element:
        const char *name
        char format
        size_t nbytes

    const fi_element *fi_element_of(fi_dtype dtype)

    ctypedef struct fi_output:
        uint8_t *data
        Py_ssize_t plane_stride
        Py_ssize_t row_stride
        uint32_t height
        uint32_t width

    ctypedef struct fi_decoder:
        pass

    ctypedef struct fi_pixels:
        const uint8_t *data
        size_t stride
        uint32_t height
        uint32_t width
        uint8_t channels
        uint8_t orientation

    fi_status fi_plan_make(fi_plan *plan, const fi_header *header, const fi_options *options, const fi_crop *crop,
                           bint flip, fi_failure *failure)
    unsigned fi_channels(const fi_options *options)

    fi_decoder *fi_decoder_new()
    void fi_decoder_free(fi_decoder *decoder)
    void fi_decoder_trim(fi_decoder *decoder)
    fi_status fi_open(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_failure *failure)
    const fi_header *fi_decoder_header(const fi_decoder *decoder)
    fi_status fi_open_pixels(fi_decoder *decoder, const fi_pixels *pixels, uint64_t max_pixels, fi_failure *failure)
    bint fi_is_other(fi_status status)
    fi_status fi_decode(fi_decoder *decoder, const fi_options *options, const fi_crop *crop, bint flip,
                        const fi_output *out, fi_failure *failure)
    ctypedef struct fi_view:
        const fi_options *options
        fi_crop crop
        bint flip
        fi_output out

    ctypedef struct fi_watch:
        c_bool (*stop)(void *context) noexcept nogil
        void *context

    fi_watch fi_decoder_watch(fi_decoder *decoder, fi_watch watch)
    const char *fi_decoder_warnings(const fi_decoder *decoder)
    bint fi_decoder_fell_back(const fi_decoder *decoder)
    long fi_decoder_warning_count(const fi_decoder *decoder)
    fi_status fi_read_header(fi_decoder *decoder, const fi_source *source, uint64_t max_pixels, fi_header *header,
                             fi_failure *failure)
    const char *fi_status_name(fi_status status)
    void fi_failure_free(fi_failure *failure)

    bint fi_cpu_parse(const char *words, unsigned *cpu_features, const char **unknown, size_t *nbytes)
    const char *fi_cpu_words()
    void fi_init(unsigned cpu_features)
    bint fi_hooks_verified()
    int64_t fi_now_ns()
    const char *fi_kernels_name()
    const char *fi_libjpeg_version(size_t *nbytes)
    const char *fi_libjpeg_built_version()

cdef extern from "_core/os/system.h" nogil:
    int64_t fi_process_id()

cdef extern from "_core/team.h" nogil:
    ctypedef struct fi_team:
        pass

    ctypedef struct fi_team_options:
        size_t threads
        uint64_t min_pixels
        size_t part_nbytes
        c_bool (*grow)(void *context, size_t threads) noexcept nogil
        void *context

    fi_team *fi_team_new(const fi_team_options *options)
    void fi_team_free(fi_team *team)
    size_t fi_team_image_count(fi_team *team)
    void fi_team_lead(fi_team *team)
    void fi_team_leave(fi_team *team)
    void fi_decoder_follow(fi_decoder *decoder, fi_team *team)
    void fi_decoder_join(fi_decoder *decoder, fi_team *team)

cdef extern from "_core/fi_batch.h" nogil:
    ctypedef struct fi_random_boxes:
        double scale[2]
        double ratio[2]
        double flip
        uint64_t key

    ctypedef struct fi_readers:
        pass

    size_t FI_NO_JOB
    int FI_MAX_UNREADABLE

    ctypedef struct fi_buffer:
        uint8_t *data

    ctypedef struct fi_mapped:
        fi_buffer buffer

    ctypedef struct fi_job:
        fi_source source
        fi_output out
        fi_crop crop
        bint flip
        uint64_t index
        bint is_read
        uint32_t height
        uint32_t width
        fi_mapped bytes
        size_t nbytes
        fi_failure *failure

    ctypedef struct fi_batch:
        const fi_options *options
        const fi_random_boxes *boxes
        fi_job *jobs
        fi_view *views
        size_t view_count
        fi_header *headers
        double (*geometry)[2][3]
        size_t count
        bint stop_on_failure
        bint keeps_bytes
        bint checks_sizes
        bint by_caller
        bint has_fallback
        unsigned decoders
        fi_team *team
        void *owner
        size_t next
        size_t done
        bint out_of_memory

    ctypedef struct fi_read:
        fi_batch *batch
        size_t position

    bint fi_box_fit(const fi_random_boxes *boxes, int64_t height, int64_t width, const double *draws, fi_crop *box)
    fi_crop fi_box_central(const fi_random_boxes *boxes, int64_t height, int64_t width)
    void fi_box_draw(const fi_random_boxes *boxes, uint64_t index, int64_t height, int64_t width, fi_crop *box,
                     c_bool *flip)

    void fi_batch_begin(fi_batch *batch)
    void fi_batch_supply(fi_batch *batch, size_t position, fi_decoder *decoder, const fi_pixels *pixels, int64_t ns)
    void fi_batch_refuse(fi_batch *batch, size_t position, bint stop)
    size_t fi_batch_run(fi_batch *batch, fi_decoder *decoder, int64_t budget_ns)
    void fi_batch_cancel(fi_batch *batch)
    bint fi_batch_finished(fi_batch *batch)
    void fi_batch_wait(fi_batch *batch, int64_t timeout_ns)
    void fi_batch_free(fi_batch *batch)

    fi_readers *fi_readers_new(uint64_t max_nbytes, unsigned max_threads, bint adapts)
    void fi_readers_free(fi_readers *readers)
    void fi_readers_add(fi_readers *readers, fi_batch *batch)
    void fi_readers_remove(fi_readers *readers, fi_batch *batch)
    unsigned fi_readers_wanted(fi_readers *readers)
    void fi_readers_limit(fi_readers *readers)
    void fi_readers_enter(fi_readers *readers)
    void fi_readers_leave(fi_readers *readers)
    bint fi_readers_run(fi_readers *readers, fi_read *read)
    void fi_read_supply(fi_read *read, const uint8_t *data, size_t nbytes)
    void fi_read_refuse(fi_read *read, bint stop, bint unreadable)
    void fi_readers_finish(fi_readers *readers, fi_read *read)
    void fi_readers_stop(fi_readers *readers)
