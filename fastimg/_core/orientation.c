/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Orientation as Pillow's exif_transpose() and OpenCV's imread() read it. Where these differ, it is Pillow's, such as a
 * number at an offset, a LONG in big-endian order, or XMP, all of which OpenCV does not read. Except:
 *
 * - A BYTE counts like the other integers, as in OpenCV. Pillow reads it as a string, which turns nothing.
 * - The first Exif segment that has the tag decides, as in OpenCV. Pillow joins all segments, so that whatever comes
 *   first hides the tag of a later one.
 * - Values of other tags are never looked at. Pillow and OpenCV stop at some that lie outside of the segment.
 */
#include "orientation.h"

#include <string.h>

#define TAG_ORIENTATION 0x0112
#define ENTRY_NBYTES 12

/* Types of TIFF fields (TIFF 6.0, section 2; IFD: supplement 1; LONG8: BigTIFF). */
enum {
    T_BYTE = 1,
    T_ASCII,
    T_SHORT,
    T_LONG,
    T_RATIONAL,
    T_SBYTE,
    T_UNDEFINED,
    T_SSHORT,
    T_SLONG,
    T_SRATIONAL,
    T_FLOAT,
    T_DOUBLE,
    T_IFD,
    T_LONG8 = 16,
    T_END,
};

static const uint8_t type_nbytes[T_END] = {
    [T_BYTE] = 1,   [T_ASCII] = 1, [T_SHORT] = 2, [T_LONG] = 4,      [T_RATIONAL] = 8, [T_SBYTE] = 1, [T_UNDEFINED] = 1,
    [T_SSHORT] = 2, [T_SLONG] = 4, [T_FLOAT] = 4, [T_SRATIONAL] = 8, [T_DOUBLE] = 8,   [T_IFD] = 4,   [T_LONG8] = 8,
};

static uint32_t get16(const uint8_t *p, bool little) {
    return little ? (uint32_t)p[1] << 8 | p[0] : (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p, bool little) {
    return little ? get16(p + 2, true) << 16 | get16(p, true) : get16(p, false) << 16 | get16(p + 2, false);
}

static uint64_t get64(const uint8_t *p, bool little) {
    const uint64_t first = get32(p, little), second = get32(p + 4, little);
    return little ? second << 32 | first : first << 32 | second;
}

/* The first value of a field as a number; 0, which is no orientation, if the type has none. */
static double first_number(unsigned type, const uint8_t *p, bool little) {
    /* Signs are dropped: a negative number is out of range either way. */
    switch (type) {
        case T_BYTE:
        case T_SBYTE:
            return p[0];
        case T_SHORT:
        case T_SSHORT:
            return get16(p, little);
        case T_LONG:
        case T_SLONG:
        case T_IFD:
            return get32(p, little);
        case T_LONG8:
            return (double)get64(p, little);
        case T_RATIONAL:
        case T_SRATIONAL: {
            const uint32_t denominator = get32(p + 4, little);
            return denominator ? (double)get32(p, little) / denominator : 0;
        }
        case T_FLOAT: {
            const uint32_t bits = get32(p, little);
            float value;
            memcpy(&value, &bits, sizeof value);
            return value;
        }
        case T_DOUBLE: {
            const uint64_t bits = get64(p, little);
            double value;
            memcpy(&value, &bits, sizeof value);
            return value;
        }
        default:
            return 0;
    }
}

/* Where the values of an IFD entry are: in it if they fit, else where it points to. NULL: nowhere. */
static const uint8_t *values_of(const uint8_t *tiff, size_t nbytes, const uint8_t *entry, bool little) {
    const uint32_t type = get16(entry + 2, little), count = get32(entry + 4, little);
    const uint64_t size = type < T_END ? (uint64_t)count * type_nbytes[type] : 0;
    if (size == 0) return NULL;
    if (size <= 4) return entry + 8;
    const uint32_t offset = get32(entry + 8, little);
    return size <= nbytes && offset <= nbytes - size ? tiff + offset : NULL;
}

/* The orientation in a TIFF structure's first IFD (Exif 2.32, 4.5.2), or 0 if it does not have the tag. */
static uint8_t tiff_orientation(const uint8_t *tiff, size_t nbytes) {
    if (nbytes < 8) return 0;
    const bool little = tiff[0] == 'I';
    if (tiff[0] != tiff[1] || (!little && tiff[0] != 'M')) return 0;
    /* Some writers have the 42 in the other byte order. */
    if (get16(tiff + 2, true) != 42 && get16(tiff + 2, false) != 42) return 0;
    const uint32_t ifd = get32(tiff + 4, little);
    if (ifd > nbytes - 2) return 0;
    const uint8_t *entry = tiff + ifd + 2, *const end = tiff + nbytes;
    /* A damaged IFD may end early: its first entries count. */
    for (uint32_t left = get16(tiff + ifd, little); left && end - entry >= ENTRY_NBYTES;
         left--, entry += ENTRY_NBYTES) {
        if (get16(entry, little) != TAG_ORIENTATION) continue;
        const uint8_t *const values = values_of(tiff, nbytes, entry, little);
        if (!values) continue;
        const double value = first_number(get16(entry + 2, little), values, little);
        return value >= 1 && value <= 8 && value == (uint8_t)value ? (uint8_t)value : 1;
    }
    return 0;
}

/* The number in the first tiff:Orientation="6" or <tiff:Orientation>6. XML is not parsed, and Pillow does not either. */
static uint8_t xmp_orientation(const uint8_t *xmp, size_t nbytes) {
    static const char name[] = "tiff:Orientation";
    const size_t name_nbytes = sizeof name - 1;
    const uint8_t *const end = xmp + nbytes;

    for (const uint8_t *at = xmp; (size_t)(end - at) >= name_nbytes + 2; at++) {
        at = memchr(at, name[0], (size_t)(end - at) - name_nbytes - 1);
        if (!at) break;
        if (memcmp(at, name, name_nbytes) != 0) continue;
        const uint8_t *const after = at + name_nbytes;
        const uint8_t *const digit = after[0] == '>' ? after + 1 : after[0] == '=' && after[1] == '"' ? after + 2 : end;
        if (digit < end && digit[0] >= '0' && digit[0] <= '9') {
            return digit[0] >= '1' && digit[0] <= '8' ? (uint8_t)(digit[0] - '0') : 1;
        }
    }
    return 1;
}

void fi_orientation_add(fi_orientation *orientation, const uint8_t *app1, size_t nbytes) {
    static const uint8_t exif[6] = "Exif\0"; /* and the string's own NUL */
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/";

    if (nbytes >= sizeof exif && memcmp(app1, exif, sizeof exif) == 0) {
        if (orientation->exif) return;
        size_t begin = sizeof exif;
        /* Some writers repeat it. */
        if (nbytes - begin >= sizeof exif && memcmp(app1 + begin, exif, sizeof exif) == 0) begin += sizeof exif;
        orientation->exif = tiff_orientation(app1 + begin, nbytes - begin);
    } else if (nbytes >= sizeof xmp && memcmp(app1, xmp, sizeof xmp) == 0) {
        orientation->xmp = app1 + sizeof xmp;
        orientation->xmp_nbytes = nbytes - sizeof xmp;
    }
}

uint8_t fi_orientation_find(const fi_orientation *orientation) {
    if (orientation->exif) return orientation->exif;
    return orientation->xmp ? xmp_orientation(orientation->xmp, orientation->xmp_nbytes) : 1;
}
