// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/tile.h: pictures that repeat; DRAW_FILL with a pattern, and DRAW_ROP3. */
#ifndef SPICEMIG_TILE_H
#define SPICEMIG_TILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A picture of 32-bit pixels that repeats in all directions, neither side 0. Its
 * pixel (x, y), which lies inside it, comes to the first pixel that is drawn.
 */
struct spicemig_tile {
    const uint8_t *pixels;
    ptrdiff_t stride;
    size_t width, height, x, y;
};

/*
 * Combine a tile with rows x cols 32-bit pixels as the table rop (see rop.h)
 * says. Strides are in bytes. The caller has checked that the rectangle and the
 * tile lie inside their buffers, which do not overlap. Cannot fail.
 * Reference: devices/raster/reference_rops.py, equal byte by byte.
 */
void spicemig_tile_rect(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                        struct spicemig_tile tile, unsigned rop);

/*
 * Combine a tile, a picture and what is there: bit (4 * tile + 2 * src + dst) of
 * code is the resulting bit. Otherwise the same.
 */
void spicemig_rop3_rect(uint8_t *restrict dst, ptrdiff_t dst_stride,
                        const uint8_t *restrict src, ptrdiff_t src_stride,
                        size_t rows, size_t cols, struct spicemig_tile tile, unsigned code);

#endif
