// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glyphs.h: text as a mask of coverage, and colour through it; DRAW_TEXT. */
#ifndef SPICEMIG_GLYPHS_H
#define SPICEMIG_GLYPHS_H

#include "tile.h"

/* rows x cols bytes of coverage, in rows without gaps. */
struct spicemig_cover {
    uint8_t *mask;
    int64_t rows, cols;
};

/* Where the top left pixel of a glyph goes, from the top left of the mask, and the glyph's size. */
struct spicemig_place {
    int64_t x, y, width, height;
};

/* The bytes of a glyph's row, which begins at a byte; width is below 2^31. */
static inline int64_t spicemig_glyph_stride(int64_t width, unsigned bits)
{
    return (width * bits + 7) / 8;
}

/*
 * Add glyphs of 1, 4 or 8 bits for a pixel to a mask; what is outside it is left
 * out. The data of all glyphs follow each other. The last row of a glyph is its
 * top one. The caller has checked that there is enough data; all numbers are below
 * 2^33. Cannot fail.
 * Reference: devices/raster/reference_glyphs.py, equal byte by byte.
 */
void spicemig_add_glyphs(struct spicemig_cover cover, const struct spicemig_place *places, size_t count,
                         unsigned bits, const uint8_t *data);

/*
 * Blend a tile over rows x cols 32-bit pixels, as much of it as the mask says, a
 * byte for a pixel. Unless has_alpha, the fourth byte of the tile's pixels counts
 * as 255. The caller has checked that all lies inside its buffers, which do not
 * overlap. Cannot fail. Reference: as above.
 */
void spicemig_blend_mask(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                         const uint8_t *restrict mask, ptrdiff_t mask_stride, struct spicemig_tile tile,
                         int has_alpha);

#endif
