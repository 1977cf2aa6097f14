/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for parts, kept by the thread that used it last: it is in its cache, and the next image needs it again. */
#ifndef FI_PART_MEMORY_H
#define FI_PART_MEMORY_H

#include "entropy/entropy.h"
#include "jpeg/mcu_rows.h"
#include "jpeg/part_layout.h"

/* Blocks of a part, so that what is kept of one stays in the second-level cache; how many can be kept. */
#define FI_PART_BLOCKS 1152
#define FI_STORE_BLOCKS 1728

/* MCUs whose place is not known yet. */
typedef struct fi_part_store {
    _Alignas(64) int16_t blocks[FI_STORE_BLOCKS][DCTSIZE2]; /* all zeros if it is free */
    uint8_t eob[FI_STORE_BLOCKS + FI_MCU_BATCH]; /* batches are read whole */
    uint64_t bits[FI_STORE_BLOCKS]; /* where each MCU begins */
    struct fi_part_store *following;
} fi_part_store;

/* The samples of a row of MCUs. */
typedef struct fi_part_buffer {
    struct fi_part_buffer *following;
    size_t nbytes;
    JSAMPROW pointers[3][FI_MAX_ROWS];
    JSAMPARRAY planes[3];
} fi_part_buffer;

/* So many bytes of each are kept between images. */
#define FI_PART_KEPT_NBYTES ((size_t)1 << 20)

/* What is free. */
typedef struct fi_part_memory {
    fi_part_store *stores;
    fi_part_buffer *buffers;
} fi_part_memory;

/*
 * A thread's own comes before what all share, and is the first to get something back: one of each. Those that share hold
 * a lock.
 */
fi_part_store *fi_part_memory_take_store(fi_part_memory *own, fi_part_memory *shared); /* NULL: none is free */
void fi_part_memory_give_store(fi_part_memory *own, fi_part_memory *shared, fi_part_store *store);
void fi_part_memory_give_buffer(fi_part_memory *own, fi_part_memory *shared, fi_part_buffer *buffer);

/* The same, but if none is free a new one; NULL: there is no memory. */
fi_part_buffer *fi_part_memory_take_buffer(fi_part_memory *own, fi_part_memory *shared, const fi_part_layout *layout);

fi_part_store *fi_part_store_new(void); /* returns NULL if there is no memory */

/* Takes over all that the other one has. */
void fi_part_memory_join(fi_part_memory *memory, fi_part_memory *other);

/* Frees all but so many bytes of stores, and of buffers. */
void fi_part_memory_trim(fi_part_memory *memory, size_t nbytes);

#endif
