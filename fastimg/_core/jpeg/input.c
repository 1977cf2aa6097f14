/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/input.h"

#include "entropy/zigzag.h"
#include "jpeg/state.h"
#include "jpeg/warnings.h"

#include <string.h>

/* ---- tables ----------------------------------------------------------------------------------------------------- */

/* Marker codes (T.81, table B.1). */
enum { M_SOF0 = 0xC0, M_DHT = 0xC4, M_RST0 = 0xD0, M_SOS = 0xDA, M_DQT = 0xDB };

/* The bytes of the segment at p from its marker on; 0 if there is none, or it is not whole. */
static size_t segment_nbytes(const uint8_t *p, const uint8_t *end) {
    if (end - p < 4 || p[0] != 0xFF || p[1] < M_SOF0 || (p[1] >= M_RST0 && p[1] < M_SOS) || p[1] == 0xFF) return 0;
    const size_t nbytes = 2 + ((size_t)p[2] << 8 | p[3]);
    return nbytes < 4 || nbytes > (size_t)(end - p) ? 0 : nbytes;
}

/* The first segment of tables from p on; the data's end if a scan comes first, or what is no segment. */
static const uint8_t *find_tables(const uint8_t *p, const uint8_t *end) {
    for (size_t nbytes; (nbytes = segment_nbytes(p, end)) && p[1] != M_SOS; p += nbytes) {
        if (p[1] == M_DHT || p[1] == M_DQT) return p;
    }
    return end;
}

/* Tables of 8-bit steps (T.81, B.2.4.1). Returns whether they are sound, and if so, sets them. */
static bool read_steps(j_decompress_ptr cinfo, const uint8_t *p, size_t nbytes) {
    if (nbytes % (1 + DCTSIZE2)) return false;
    for (size_t i = 0; i < nbytes; i += 1 + DCTSIZE2) {
        if (p[i] >= NUM_QUANT_TBLS) return false;
    }
    for (const uint8_t *end = p + nbytes; p < end; p += 1 + DCTSIZE2) {
        JQUANT_TBL **table = &cinfo->quant_tbl_ptrs[p[0]];
        if (!*table) *table = jpeg_alloc_quant_table((j_common_ptr)cinfo);
        for (int k = 1; k <= DCTSIZE2; k++) (*table)->quantval[natural_order[k]] = p[k];
    }
    return true;
}

/* How many bytes the Huffman table at p takes, and symbols it has (T.81, B.2.4.2); 0: it is unsound. */
static size_t huffman_nbytes(const uint8_t *p, size_t nbytes, size_t *symbols) {
    if (nbytes < 17 || (p[0] & ~0x10) >= NUM_HUFF_TBLS) return 0;
    *symbols = 0;
    for (int i = 1; i <= 16; i++) *symbols += p[i];
    return *symbols > 256 || *symbols > nbytes - 17 ? 0 : 17 + *symbols;
}

static bool read_huffman(j_decompress_ptr cinfo, const uint8_t *p, size_t nbytes) {
    size_t symbols, used;

    for (size_t i = 0; i < nbytes; i += used) {
        used = huffman_nbytes(p + i, nbytes - i, &symbols);
        if (!used) return false;
    }
    for (const uint8_t *end = p + nbytes; p < end; p += 17 + symbols) {
        huffman_nbytes(p, (size_t)(end - p), &symbols);
        JHUFF_TBL **table = &(p[0] & 0x10 ? cinfo->ac_huff_tbl_ptrs : cinfo->dc_huff_tbl_ptrs)[p[0] & 0xF];
        if (!*table) *table = jpeg_alloc_huff_table((j_common_ptr)cinfo);
        memcpy((*table)->bits, p, 17);
        (*table)->bits[0] = 0;
        memcpy((*table)->huffval, p + 17, symbols);
        memset((*table)->huffval + symbols, 0, 256 - symbols);
    }
    return true;
}

/* Moves the source to p, up to the next tables; those at p itself are unsound. */
static void set_source(fi_decompressor *jpeg, const uint8_t *p) {
    jpeg->source_end = find_tables(p, jpeg->data_end);
    if (jpeg->source_end == p) jpeg->source_end = jpeg->data_end;
    jpeg->source.next_input_byte = p;
    jpeg->source.bytes_in_buffer = (size_t)(jpeg->source_end - p);
}

/* Reads tables where the source ends, and goes on after them. It stays empty if that is the data's end. */
static void read_tables(fi_decompressor *jpeg) {
    const uint8_t *p = jpeg->source_end;

    for (size_t nbytes; (nbytes = segment_nbytes(p, jpeg->data_end)); p += nbytes) {
        const bool is_huffman = p[1] == M_DHT;
        if (!is_huffman && p[1] != M_DQT) break;
        if (!(is_huffman ? read_huffman : read_steps)(&jpeg->cinfo, p + 4, nbytes - 4)) break;
    }
    set_source(jpeg, p);
}

/* ---- the source ------------------------------------------------------------------------------------------------ */

static void source_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/* Past the end of the data, feed EOI forever: libjpeg fills in the rest of the image and warns. */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end_marker[2] = {0xFF, JPEG_EOI};
    fi_decompressor *jpeg = cinfo->client_data;

    if (jpeg->source_end < jpeg->data_end) {
        read_tables(jpeg);
        if (jpeg->source.bytes_in_buffer > 0) return TRUE;
    }
    jpeg->eof = true;
    if (!jpeg->is_cut) WARNMS(cinfo, JWRN_JPEG_EOF);
    jpeg->source.next_input_byte = end_marker;
    jpeg->source.bytes_in_buffer = sizeof end_marker;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long nbytes) {
    struct jpeg_source_mgr *source = cinfo->src;

    if (nbytes <= 0) return;
    if ((size_t)nbytes > source->bytes_in_buffer) nbytes = (long)source->bytes_in_buffer;
    source->next_input_byte += nbytes;
    source->bytes_in_buffer -= (size_t)nbytes;
}

void fi_input_install(fi_decompressor *jpeg) {
    jpeg->source = (struct jpeg_source_mgr){
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
}

void fi_input_begin(fi_decompressor *jpeg) {
    const uint8_t *first = jpeg->data + 2; /* after SOI */

    set_source(jpeg, jpeg->data);
    if (jpeg->use_libjpeg_entropy || jpeg->data_end - jpeg->data < 2) return;
    jpeg->source_end = find_tables(first, jpeg->data_end);
    jpeg->source.bytes_in_buffer = (size_t)(jpeg->source_end - jpeg->data);
}

bool fi_has_end_marker(const uint8_t *data, size_t nbytes) {
    static const uint8_t marker[2] = {0xFF, JPEG_EOI};
    const uint8_t *end = data + nbytes;

    if (nbytes >= 2 && memcmp(end - 2, marker, 2) == 0) return true;
    while (nbytes >= 2 && (data = memchr(data, 0xFF, nbytes - 1))) {
        if (data[1] == JPEG_EOI) return true;
        data++;
        nbytes = (size_t)(end - data);
    }
    return false;
}
