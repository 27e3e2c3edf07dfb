// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/convert.h: rows of any SPICE bitmap format become 32-bit pixels. */
#ifndef SPICEMIG_CONVERT_H
#define SPICEMIG_CONVERT_H

#include <stddef.h>
#include <stdint.h>

/* SpiceBitmapFmt of spice-protocol's enums.h; those that have pixels of 32 bits are only copied. */
enum spicemig_format {
    SPICEMIG_1BIT_LE = 1,
    SPICEMIG_1BIT_BE = 2,
    SPICEMIG_4BIT_LE = 3,
    SPICEMIG_4BIT_BE = 4,
    SPICEMIG_8BIT = 5,
    SPICEMIG_16BIT = 6,
    SPICEMIG_24BIT = 7,
    SPICEMIG_32BIT = 8,
    SPICEMIG_RGBA = 9,
    SPICEMIG_8BIT_A = 10,
};

/* The bytes that a row of cols pixels fills; 0 for a format that is not known. cols is below 2^31. */
size_t spicemig_row_bytes(unsigned format, size_t cols);

/*
 * Write rows x cols pixels of blue, green, red and one byte more each: the
 * alpha of RGBA and 8BIT_A, what source or palette have for 32BIT and indexes,
 * 255 for 16BIT, else 0. Palette entries are pixels; an index at or above entries gives 0. 8BIT_A gives
 * black of that alpha. Strides are in bytes and may be negative. The caller has
 * checked that the rows lie inside their buffers and do not overlap, and that
 * the format is one of the above. Cannot fail.
 * Reference: devices/raster/reference.py, equal byte by byte.
 */
void spicemig_convert_rows(uint8_t *restrict dst, ptrdiff_t dst_stride,
                           const uint8_t *restrict src, ptrdiff_t src_stride,
                           size_t rows, size_t cols, unsigned format,
                           const uint8_t *palette, size_t entries);

#endif
