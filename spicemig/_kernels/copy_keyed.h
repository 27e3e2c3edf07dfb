// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/copy_keyed.h: the inner loop of DRAW_TRANSPARENT. */
#ifndef SPICEMIG_COPY_KEYED_H
#define SPICEMIG_COPY_KEYED_H

#include <stddef.h>
#include <stdint.h>

/*
 * Copy rows x cols 32-bit pixels, except those whose bits compared are those of
 * key. Strides are in bytes. The caller has checked that both rectangles lie
 * inside their buffers and that the buffers do not overlap. Cannot fail.
 * Reference: devices/raster/reference_keyed.py, equal byte by byte.
 */
void spicemig_copy_keyed(uint8_t *restrict dst, ptrdiff_t dst_stride,
                         const uint8_t *restrict src, ptrdiff_t src_stride,
                         size_t rows, size_t cols, uint32_t key, uint32_t compared);

#endif
