// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/quic.h: QUIC's coding of rows, both ways. */
#ifndef SPICEMIG_QUIC_H
#define SPICEMIG_QUIC_H

#include <stddef.h>
#include <stdint.h>

/* The types of a stream, as its header has them. */
enum spicemig_quic_type {
    SPICEMIG_QUIC_GRAY = 1,
    SPICEMIG_QUIC_RGB16,
    SPICEMIG_QUIC_RGB24,
    SPICEMIG_QUIC_RGB32,
    SPICEMIG_QUIC_RGBA,
};

/*
 * What a coder remembers of the rows so far. It lives in memory that the caller
 * gives: as many bytes as spicemig_quic_bytes says, aligned as malloc does.
 */
struct spicemig_quic;

/* Bytes of a pixel; 0 if there is no such type. */
size_t spicemig_quic_pixel_bytes(unsigned type);

/* Bytes of a coder for rows of this width, from 1 to 65535; type is one of the above. */
size_t spicemig_quic_bytes(size_t width);

/* Make a coder ready for the first row. */
void spicemig_quic_begin(struct spicemig_quic *coder, unsigned type, size_t width);

/* The most bytes that one more row, and the end of the stream, can take. */
size_t spicemig_quic_row_bytes(unsigned type, size_t width);

/*
 * Code some more rows, stride bytes apart (negative: upwards), behind the first
 * *filled bytes of out, and count what was written there; stop where less room
 * is left than spicemig_quic_row_bytes says. Returns the number of rows coded.
 * Reference: codecs/quic_reference.py, equal byte by byte.
 */
size_t spicemig_quic_encode(struct spicemig_quic *coder, const uint8_t *src, ptrdiff_t stride, size_t rows,
                            uint8_t *out, size_t room, size_t *filled);

/* End the stream: the last words, for which each row left room. */
void spicemig_quic_end(struct spicemig_quic *coder, uint8_t *out, size_t *filled);

/*
 * Decode rows, stride bytes apart, from count words of 32 bits, which need not be
 * aligned. An unused byte or bit becomes 0. Returns how many rows are whole:
 * fewer than rows if the words end early or a run is longer than its row.
 * Reads no word beyond them. Reference: codecs/quic_reference.py.
 */
size_t spicemig_quic_decode(struct spicemig_quic *coder, uint8_t *dst, ptrdiff_t stride, size_t rows,
                            const uint8_t *words, size_t count);

#endif
