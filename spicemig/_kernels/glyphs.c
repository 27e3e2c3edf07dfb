// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glyphs.c: text as a mask of coverage, and colour through it. */
#include "glyphs.h"

#include "rop.h"

static inline uint8_t larger(uint8_t one, unsigned other)
{
    return other > one ? (uint8_t)other : one;
}

static void add_row(uint8_t *restrict mask, const uint8_t *restrict line, unsigned bits, int64_t first,
                    int64_t end)
{
    switch (bits) {
    case 1:
        for (int64_t col = first; col < end; col++)
            if ((line[col / 8] >> (7 - col % 8)) & 1u)
                mask[col - first] = 255;
        break;
    case 4: /* clients let what is below a right pixel count only beside an empty left one */
        for (int64_t col = first; col < end; col++)
            mask[col - first] =
                larger(mask[col - first], col % 2 ? (unsigned)line[col / 2] << 4 : line[col / 2] & 0xf0u);
        break;
    default:
        for (int64_t col = first; col < end; col++)
            mask[col - first] = larger(mask[col - first], line[col]);
        break;
    }
}

void spicemig_add_glyph(uint8_t *restrict mask, int64_t rows, int64_t cols, int64_t left, int64_t top,
                        const struct spicemig_glyph *glyph)
{
    const int64_t stride = (glyph->width * glyph->bits + 7) / 8;
    const int64_t lost = glyph->bits == 8; /* rows */
    const int64_t first_row = top + lost < 0 ? -top : lost;
    const int64_t end_row = glyph->height < rows - top ? glyph->height : rows - top;
    const int64_t first = left < 0 ? -left : 0;
    const int64_t end = glyph->width < cols - left ? glyph->width : cols - left;

    for (int64_t row = first_row; row < end_row && first < end; row++)
        add_row(mask + (top + row) * cols + left + first, glyph->data + (glyph->height - 1 - row + lost) * stride,
                glyph->bits, first, end);
}

/* Of four bytes the product with a fraction of 255 each, rounded; two bytes at a time. */
static inline uint32_t times(uint32_t pixel, uint32_t fraction)
{
    uint32_t even = (pixel & 0xff00ffu) * fraction + 0x800080u;
    uint32_t odd = ((pixel >> 8) & 0xff00ffu) * fraction + 0x800080u;

    even = ((even + ((even >> 8) & 0xff00ffu)) >> 8) & 0xff00ffu;
    odd = (odd + ((odd >> 8) & 0xff00ffu)) & 0xff00ff00u;
    return even | odd;
}

/* Of four bytes the sum, 255 at most. */
static inline uint32_t plus(uint32_t one, uint32_t other)
{
    uint32_t even = (one & 0xff00ffu) + (other & 0xff00ffu);
    uint32_t odd = ((one >> 8) & 0xff00ffu) + ((other >> 8) & 0xff00ffu);

    even |= 0x1000100u - ((even >> 8) & 0xff00ffu); /* all ones where it went over */
    odd |= 0x1000100u - ((odd >> 8) & 0xff00ffu);
    return (even & 0xff00ffu) | (odd & 0xff00ffu) << 8;
}

static void blend_row(uint8_t *restrict to, const uint8_t *restrict mask, size_t cols,
                      const uint8_t *restrict row, size_t width, size_t place, uint32_t opaque)
{
    for (size_t col = 0; col < cols; col++, to += 4) {
        if (mask[col]) {
            const uint32_t source = times(spicemig_load(row + 4 * place) | opaque, mask[col]);
            spicemig_store(to, plus(source, times(spicemig_load(to), 255 - (source >> 24))));
        }
        if (++place == width)
            place = 0;
    }
}

void spicemig_blend_mask(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                         const uint8_t *restrict mask, ptrdiff_t mask_stride, struct spicemig_tile tile,
                         uint32_t opaque)
{
    for (size_t row = 0; row < rows; row++) {
        blend_row(dst + (ptrdiff_t)row * stride, mask + (ptrdiff_t)row * mask_stride, cols,
                  tile.pixels + (ptrdiff_t)tile.y * tile.stride, tile.width, tile.x, opaque);
        if (++tile.y == tile.height)
            tile.y = 0;
    }
}
