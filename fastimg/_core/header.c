/* SPDX-License-Identifier: BSD-3-Clause */
#include "header.h"

#include "orientation.h"

#include <string.h>

/* Marker codes: ITU-T T.81, table B.1. */
enum {
    M_TEM = 0x01,
    M_SOF0 = 0xC0,
    M_DHT = 0xC4,
    M_JPG = 0xC8,
    M_DAC = 0xCC,
    M_SOF15 = 0xCF,
    M_RST0 = 0xD0,
    M_RST7 = 0xD7,
    M_SOI = 0xD8,
    M_EOI = 0xD9,
    M_SOS = 0xDA,
    M_DQT = 0xDB,
    M_DRI = 0xDD,
    M_APP0 = 0xE0,
    M_APP1 = 0xE1,
    M_APP14 = 0xEE,
};

/* What decides the colour space, application segments and the frame's component identifiers; and the orientation. */
typedef struct {
    bool jfif, adobe;
    uint8_t adobe_transform;
    uint8_t ids[3];
    fi_orientation orientation;
} hints;

static bool is_sof(unsigned marker) {
    return marker >= M_SOF0 && marker <= M_SOF15 && marker != M_DHT && marker != M_JPG && marker != M_DAC;
}

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

/* The same guess as libjpeg's default_decompress_parms. */
static fi_color guess_color(const fi_header *header, const hints *hint) {
    switch (header->components) {
        case 1:
            return FI_GRAYSCALE;
        case 3:
            if (hint->jfif) return FI_YCBCR;
            if (hint->adobe) return hint->adobe_transform == 0 ? FI_RGB : FI_YCBCR;
            return memcmp(hint->ids, "RGB", 3) == 0 ? FI_RGB : FI_YCBCR;
        case 4:
            return hint->adobe && hint->adobe_transform != 0 ? FI_YCCK : FI_CMYK;
        default:
            return FI_UNKNOWN;
    }
}

/* Which of the four DC and four AC tables a DHT segment defines (T.81, B.2.4.2). */
static unsigned huffman_tables(const uint8_t *p, size_t nbytes) {
    unsigned tables = 0;
    for (size_t i = 0; i + 17 <= nbytes;) {
        const unsigned table_class = p[i] >> 4, id = p[i] & 15;
        if (table_class < 2 && id < 4) tables |= 1u << (4 * table_class + id);
        size_t count = 0;
        for (size_t k = 1; k <= 16; k++) count += p[i + k];
        i += 17 + count;
    }
    return tables;
}

/* Which of the four quantisation tables a DQT segment defines (T.81, B.2.4.1). */
static unsigned quantization_tables(const uint8_t *p, size_t nbytes) {
    unsigned tables = 0;
    for (size_t i = 0; i < nbytes; i += p[i] >> 4 ? 129 : 65) {
        if ((p[i] & 15) < 4) tables |= 1u << (8 + (p[i] & 15));
    }
    return tables;
}

/* A segment's payload. Segments that are too short are left for libjpeg to judge. */
static void parse_segment(fi_header *header, hints *hint, unsigned marker, const uint8_t *p, size_t nbytes) {
    if (is_sof(marker) && nbytes >= 6 && !header->components) {
        header->sof = (uint8_t)(marker - M_SOF0);
        header->precision = p[0];
        header->height = be16(p + 1);
        header->width = be16(p + 3);
        header->components = p[5];
        for (size_t i = 0; i < 4 && i < p[5] && 6 + 3 * i + 3 <= nbytes; i++) {
            if (i < 3) hint->ids[i] = p[6 + 3 * i];
            header->h_samp[i] = p[6 + 3 * i + 1] >> 4;
            header->v_samp[i] = p[6 + 3 * i + 1] & 15;
        }
    } else if (marker == M_DHT) {
        header->tables |= (uint16_t)huffman_tables(p, nbytes);
    } else if (marker == M_DQT) {
        header->tables |= (uint16_t)quantization_tables(p, nbytes);
    } else if (marker == M_DRI && nbytes >= 2) {
        header->restart_interval = (uint16_t)be16(p);
    } else if (marker == M_APP0 && nbytes >= 5 && memcmp(p, "JFIF", 5) == 0) {
        /* libjpeg ignores a JFIF segment that is not whole */
        if (nbytes >= 14) hint->jfif = true;
    } else if (marker == M_APP1) {
        fi_orientation_add(&hint->orientation, p, nbytes);
    } else if (marker == M_APP14 && nbytes >= 12 && memcmp(p, "Adobe", 5) == 0) {
        hint->adobe = true;
        hint->adobe_transform = p[11];
    }
}

static fi_status not_jpeg(const uint8_t *data, size_t have, fi_failure *failure) {
    static const char digits[] = "0123456789abcdef";
    const size_t nbytes = have < FI_HEAD_NBYTES ? have : FI_HEAD_NBYTES;

    for (size_t i = 0; i < nbytes; i++) {
        failure->text[2 * i] = digits[data[i] >> 4];
        failure->text[2 * i + 1] = digits[data[i] & 15];
    }
    failure->text[2 * nbytes] = '\0';
    return failure->status = FI_E_NOT_JPEG;
}

static fi_status no_image(size_t at, unsigned marker, fi_failure *failure) {
    failure->detail[0] = (int64_t)at;
    failure->detail[1] = marker;
    return failure->status = FI_E_NO_IMAGE;
}

/* Returns the next marker from *pos on, skipping stray bytes, and moves *pos past it. Returns 0 if there is none. */
static unsigned next_marker(const uint8_t *data, size_t have, size_t *pos) {
    size_t i = *pos;
    for (;;) {
        const uint8_t *ff = i < have ? memchr(data + i, 0xFF, have - i) : NULL;
        if (!ff) return 0;
        i = (size_t)(ff - data);
        while (i < have && data[i] == 0xFF) i++;
        if (i == have) return 0;
        if (data[i++] != 0) {
            *pos = i;
            return data[i - 1];
        }
    }
}

fi_status fi_header_parse(fi_header *header, const uint8_t *data, size_t have, uint64_t total, uint64_t *need,
                          fi_failure *failure) {
    hints hint = {0};
    size_t pos = 2;

    *header = (fi_header){.nbytes = total, .orientation = 1};
    *need = 0;
    if (total == 0) return failure->status = FI_E_EMPTY;
    if (have >= 1 && (data[0] != 0xFF || (have >= 2 && data[1] != M_SOI))) return not_jpeg(data, have, failure);
    for (;;) {
        const size_t start = pos;
        const unsigned marker = pos <= have ? next_marker(data, have, &pos) : 0;
        uint64_t end = pos + 2;
        if (!marker) {
            end = start < have ? (uint64_t)have + 1 : (uint64_t)start + 2;
        } else if (marker == M_TEM || (marker >= M_RST0 && marker <= M_RST7)) {
            continue;
        } else if (marker == M_SOI || marker == M_EOI) {
            return no_image(pos - 2, marker, failure);
        } else if (marker == M_SOS && !header->components) {
            return no_image(pos - 2, marker, failure);
        } else if (pos + 2 <= have) {
            const uint32_t length = be16(data + pos);
            end = pos + (length < 2 ? 2 : length); /* libjpeg, too, reads a length below 2 as an empty segment */
            if (end <= have && marker == M_SOS) {
                header->color = guess_color(header, &hint);
                header->orientation = fi_orientation_find(&hint.orientation);
                return FI_OK;
            }
            if (end <= have) {
                parse_segment(header, &hint, marker, data + pos + 2, (size_t)end - pos - 2);
                pos = (size_t)end;
                continue;
            }
        }
        if (have < total) {
            *need = end;
            return FI_OK;
        }
        /* A truncated frame header may still hold the size. */
        if (marker && pos + 2 <= have) parse_segment(header, &hint, marker, data + pos + 2, have - pos - 2);
        failure->detail[0] = (int64_t)total;
        return failure->status = FI_E_CUT_HEADER;
    }
}

fi_status fi_header_check(const fi_header *header, uint64_t max_pixels, fi_failure *failure) {
    if ((uint64_t)header->width * header->height > max_pixels) {
        failure->detail[0] = header->height;
        failure->detail[1] = header->width;
        failure->detail[2] = (int64_t)max_pixels;
        return failure->status = FI_E_TOO_LARGE;
    }
    if (header->width == 0) {
        failure->detail[0] = header->height;
        failure->detail[1] = header->width;
        return failure->status = FI_E_NO_PIXELS;
    }
    /* T.81, B.2.2: a DNL segment after the first scan tells the height. libjpeg-turbo does not read it either. */
    if (header->height == 0) return failure->status = FI_E_NO_HEIGHT;
    if (header->precision != 8) {
        failure->detail[0] = header->precision;
        return failure->status = FI_E_PRECISION;
    }
    if (header->components != 1 && header->components != 3 && header->components != 4) {
        failure->detail[0] = header->components;
        return failure->status = FI_E_COMPONENTS;
    }
    /*
     * SOF5 to 7 and 13 to 15 are hierarchical, 11 is lossless and arithmetic: no known decoder reads them. SOF3 is
     * lossless: libjpeg-turbo reads it from 3.0 on, and what is refused must not depend on the version that is loaded.
     */
    if ((header->sof > 2 && header->sof < 9) || header->sof > 10) {
        failure->detail[0] = header->sof;
        return failure->status = FI_E_PROCESS;
    }
    return FI_OK;
}
