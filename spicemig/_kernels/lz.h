// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lz.h: LZ's coding of one plane of an image, both ways. */
#ifndef SPICEMIG_LZ_H
#define SPICEMIG_LZ_H

#include <stddef.h>
#include <stdint.h>

/* What a plane's units are; all lie one behind the other. */
enum spicemig_lz_plane {
    SPICEMIG_LZ_BYTES = 1, /* palette indexes, 8-bit alpha */
    SPICEMIG_LZ_RGB16,     /* two bytes, little-endian */
    SPICEMIG_LZ_RGB24,     /* three bytes */
    SPICEMIG_LZ_RGB32,     /* the first three bytes of four */
    SPICEMIG_LZ_ALPHA,     /* the fourth byte of four */
};

/* Bytes from one unit to the next; 0 if there is no such plane. */
size_t spicemig_lz_unit_bytes(unsigned plane);

/* The most bytes that encoding this many units, at least one, can touch. */
size_t spicemig_lz_room(unsigned plane, size_t count);

/* Bytes of scratch, aligned as malloc does, that encoding or decoding them needs. */
size_t spicemig_lz_encode_scratch_bytes(unsigned plane, size_t count);
size_t spicemig_lz_decode_scratch_bytes(unsigned plane, size_t count);

/*
 * Encode 1 to 2^28 units. Returns the bytes written to out, which has the room
 * said above. Reference: codecs/lz_reference.py, equal byte by byte.
 */
size_t spicemig_lz_encode(const uint8_t *src, unsigned plane, size_t count, void *scratch, uint8_t *out);

/*
 * Decode just so many units from data. Returns the bytes of data that they took;
 * 0 if the data ends early, or refers to what is not there, or to more units than
 * that. The fourth byte of RGB32 becomes 0; ALPHA writes nothing else.
 */
size_t spicemig_lz_decode(uint8_t *dst, unsigned plane, size_t count, void *scratch, const uint8_t *data,
                          size_t bytes);

#endif
