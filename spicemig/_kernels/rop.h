// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/rop.h: raster operations on pixels, for the other kernels. */
#ifndef SPICEMIG_ROP_H
#define SPICEMIG_ROP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A raster operation as a truth table: bit (2 * source + destination) of the
 * table is the resulting bit. PUT, the source itself, is 12.
 */
#define SPICEMIG_ROP_PUT 12u

/* The truth table widened to a mask for each of its four rows. */
struct spicemig_rop {
    uint32_t neither, dst_only, src_only, both;
};

static inline struct spicemig_rop spicemig_rop_of(unsigned table)
{
    struct spicemig_rop rop = {
        .neither = (table & 1u) ? UINT32_MAX : 0,
        .dst_only = (table & 2u) ? UINT32_MAX : 0,
        .src_only = (table & 4u) ? UINT32_MAX : 0,
        .both = (table & 8u) ? UINT32_MAX : 0,
    };
    return rop;
}

static inline uint32_t spicemig_rop_apply(struct spicemig_rop rop, uint32_t src, uint32_t dst)
{
    return (~src & ~dst & rop.neither) | (~src & dst & rop.dst_only) | (src & ~dst & rop.src_only) |
           (src & dst & rop.both);
}

/* Pixels are read and written through these, as buffers need not be aligned. */
static inline uint32_t spicemig_load(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void spicemig_store(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

/* Combine cols pixels of src with those of dst; the two do not overlap. In rop.c. */
void spicemig_rop_line(uint8_t *restrict dst, const uint8_t *restrict src, size_t cols, unsigned rop);

#endif
