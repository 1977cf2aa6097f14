/* SPDX-License-Identifier: BSD-3-Clause */
/* One libjpeg-turbo decompressor, used again for every image of a worker. */
#ifndef FI_SESSION_H
#define FI_SESSION_H

#include "buffer.h"
#include "fi.h"

typedef struct fi_session fi_session;

fi_session *fi_session_new(void); /* NULL: no memory, or a libjpeg other than the one this was built for */
void fi_session_free(fi_session *session);
void fi_session_trim(fi_session *session); /* gives back what is larger than most images need */

/* Decodes data[0 .. nbytes) by the plan into out. The header is that of the same bytes. */
fi_status fi_session_decode(fi_session *session, const uint8_t *data, size_t nbytes, const fi_header *header,
                            const fi_plan *plan, const fi_options *options, const fi_output *out, fi_buffer *scratch,
                            fi_failure *failure);

/* Warnings of the last decode that cost no pixels, a line each. */
const char *fi_session_notes(const fi_session *session);
long fi_session_warnings(const fi_session *session);
bool fi_session_gave_up(const fi_session *session);

#endif
