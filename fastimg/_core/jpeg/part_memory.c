/* SPDX-License-Identifier: BSD-3-Clause */
#include "jpeg/part_memory.h"

#include "os/system.h"

#include <string.h>

static size_t aligned(size_t nbytes) {
    return (nbytes + 63) & ~(size_t)63;
}

/* ---- stores ---------------------------------------------------------------------------------------------------- */

fi_part_store *fi_part_store_new(void) {
    fi_part_store *store = fi_aligned_new(_Alignof(fi_part_store), sizeof *store);
    if (store) memset(store, 0, sizeof *store);
    return store;
}

fi_part_store *fi_part_memory_take_store(fi_part_memory *own, fi_part_memory *shared) {
    fi_part_memory *memory = own->stores ? own : shared;
    fi_part_store *store = memory->stores;

    if (store) memory->stores = store->following;
    return store;
}

void fi_part_memory_give_store(fi_part_memory *own, fi_part_memory *shared, fi_part_store *store) {
    fi_part_memory *memory = own->stores ? shared : own;

    store->following = memory->stores;
    memory->stores = store;
}

/* ---- buffers --------------------------------------------------------------------------------------------------- */

static size_t margin(const fi_part_layout *layout, unsigned plane) {
    return aligned(layout->planes[plane].margin);
}

static size_t buffer_nbytes(const fi_part_layout *layout) {
    size_t nbytes = aligned(sizeof(fi_part_buffer));

    for (unsigned p = 0; p < layout->count; p++) {
        nbytes += margin(layout, p) + layout->planes[p].stride * layout->planes[p].rows;
    }
    return aligned(nbytes);
}

static void lay_out(fi_part_buffer *buffer, const fi_part_layout *layout) {
    uint8_t *at = (uint8_t *)buffer + aligned(sizeof *buffer);

    for (unsigned p = 0; p < 3; p++) {
        buffer->planes[p] = buffer->pointers[p];
        if (p >= layout->count) continue;
        at += margin(layout, p);
        for (uint32_t i = 0; i < layout->planes[p].rows; i++, at += layout->planes[p].stride) {
            buffer->pointers[p][i] = at;
        }
    }
}

/* One of nbytes; those of another image are freed. */
static fi_part_buffer *take_buffer(fi_part_memory *memory, size_t nbytes) {
    fi_part_buffer *buffer;

    while ((buffer = memory->buffers)) {
        memory->buffers = buffer->following;
        if (buffer->nbytes == nbytes) break;
        fi_aligned_free(buffer);
    }
    return buffer;
}

static fi_part_buffer *new_buffer(size_t nbytes) {
    fi_part_buffer *buffer = fi_aligned_new(64, nbytes);

    if (!buffer) return NULL;
    memset(buffer, 0, nbytes); /* what is read after rows has a weight of 0 */
    buffer->nbytes = nbytes;
    return buffer;
}

fi_part_buffer *fi_part_memory_take_buffer(fi_part_memory *own, fi_part_memory *shared, const fi_part_layout *layout) {
    const size_t nbytes = buffer_nbytes(layout);
    fi_part_buffer *buffer = take_buffer(own, nbytes);

    if (!buffer) buffer = take_buffer(shared, nbytes);
    if (!buffer) buffer = new_buffer(nbytes);
    if (buffer) lay_out(buffer, layout);
    return buffer;
}

void fi_part_memory_give_buffer(fi_part_memory *own, fi_part_memory *shared, fi_part_buffer *buffer) {
    fi_part_memory *memory = own->buffers ? shared : own;

    buffer->following = memory->buffers;
    memory->buffers = buffer;
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

void fi_part_memory_join(fi_part_memory *memory, fi_part_memory *other) {
    fi_part_store **last_store = &memory->stores;
    fi_part_buffer **last_buffer = &memory->buffers;

    while (*last_store) last_store = &(*last_store)->following;
    while (*last_buffer) last_buffer = &(*last_buffer)->following;
    *last_store = other->stores;
    *last_buffer = other->buffers;
    *other = (fi_part_memory){0};
}

void fi_part_memory_trim(fi_part_memory *memory, size_t nbytes) {
    fi_part_store **store = &memory->stores;
    fi_part_buffer **buffer = &memory->buffers;
    size_t kept = 0;

    while (*store && (kept += sizeof **store) <= nbytes) store = &(*store)->following;
    while (*store) {
        fi_part_store *spare = *store;
        *store = spare->following;
        fi_aligned_free(spare);
    }
    kept = 0;
    while (*buffer && (kept += (*buffer)->nbytes) <= nbytes) buffer = &(*buffer)->following;
    while (*buffer) {
        fi_part_buffer *spare = *buffer;
        *buffer = spare->following;
        fi_aligned_free(spare);
    }
}
