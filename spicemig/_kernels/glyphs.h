// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glyphs.h: text as a mask of coverage, and colour through it; DRAW_TEXT. */
#ifndef SPICEMIG_GLYPHS_H
#define SPICEMIG_GLYPHS_H

#include "tile.h"

/* A glyph of 1, 4 or 8 bits for a pixel; its rows begin at bytes. */
struct spicemig_glyph {
    const uint8_t *data;
    unsigned bits;
    int64_t width, height;
};

/*
 * Add a glyph to a mask of rows x cols bytes, its top left pixel at (left, top);
 * what is outside the mask is left out. The last row of a glyph is its top one. Of
 * 8 bits, all rows are one lower than that and the lowest is lost: clients show as
 * the top row what happens to lie behind the glyph. All numbers are below 2^31.
 * Cannot fail. Reference: devices/raster/reference_glyphs.py, equal byte by byte.
 */
void spicemig_add_glyph(uint8_t *restrict mask, int64_t rows, int64_t cols, int64_t left, int64_t top,
                        const struct spicemig_glyph *glyph);

/*
 * Blend a tile over rows x cols 32-bit pixels, as much of it as the mask says, a
 * byte for a pixel. opaque is set in every pixel of the tile: 0xff000000 if its
 * fourth byte is not an alpha, else 0. The caller has checked that all lies inside
 * its buffers, which do not overlap. Cannot fail. Reference: as above.
 */
void spicemig_blend_mask(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                         const uint8_t *restrict mask, ptrdiff_t mask_stride, struct spicemig_tile tile,
                         uint32_t opaque);

#endif
