// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/copy.h: rectangles of pixels from one place to another; DRAW_COPY, COPY_BITS. */
#ifndef SPICEMIG_COPY_H
#define SPICEMIG_COPY_H

#include <stddef.h>
#include <stdint.h>

/*
 * In all of these: pixels have 32 bits, strides are in bytes and may be
 * negative, rop is a truth table as in rop.h, and the caller has checked that
 * both rectangles lie inside their buffers. None can fail.
 * Reference: devices/raster/reference.py, equal byte by byte.
 */

/* Combine rows x cols pixels of src with those of dst; they do not overlap. */
void spicemig_copy_rect(uint8_t *restrict dst, ptrdiff_t dst_stride,
                        const uint8_t *restrict src, ptrdiff_t src_stride,
                        size_t rows, size_t cols, unsigned rop);

/*
 * Copy rows x cols pixels inside one buffer whose rows are stride bytes apart.
 * The rectangles may overlap in any way; dst gets what src was before.
 */
void spicemig_move_rect(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, size_t rows, size_t cols);

#endif
