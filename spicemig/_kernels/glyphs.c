// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glyphs.c: text as a mask of coverage, and colour through it. */
#include "glyphs.h"

#include <string.h>

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

static void add_glyph(struct spicemig_cover cover, const struct spicemig_place *place, unsigned bits,
                      const uint8_t *data)
{
    const int64_t stride = spicemig_glyph_stride(place->width, bits);
    const int64_t lost = bits == 8; /* rows */
    const int64_t first_row = place->y + lost < 0 ? -place->y : lost;
    const int64_t end_row = place->height < cover.rows - place->y ? place->height : cover.rows - place->y;
    const int64_t first = place->x < 0 ? -place->x : 0;
    const int64_t end = place->width < cover.cols - place->x ? place->width : cover.cols - place->x;

    for (int64_t row = first_row; row < end_row && first < end; row++)
        add_row(cover.mask + (place->y + row) * cover.cols + place->x + first,
                data + (place->height - 1 - row + lost) * stride, bits, first, end);
}

void spicemig_add_glyphs(struct spicemig_cover cover, const struct spicemig_place *places, size_t count,
                         unsigned bits, const uint8_t *data)
{
    for (size_t index = 0; index < count; index++) {
        add_glyph(cover, &places[index], bits, data);
        data += spicemig_glyph_stride(places[index].width, bits) * places[index].height;
    }
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
                      const uint8_t *restrict row, size_t width, size_t place)
{
    for (size_t col = 0; col < cols; col++, to += 4) {
        if (mask[col]) {
            const uint32_t source = times(spicemig_load(row + 4 * place), mask[col]);
            spicemig_store(to, plus(source, times(spicemig_load(to), 255 - (source >> 24))));
        }
        if (++place == width)
            place = 0;
    }
}

#define CHUNK 16 /* pixels */

static int covers_nothing(const uint8_t *mask)
{
    uint64_t parts[CHUNK / 8];

    memcpy(parts, mask, sizeof parts);
    return (parts[0] | parts[1]) == 0;
}

static inline uint8_t share(unsigned byte, unsigned cover)
{
    const uint16_t product = (uint16_t)(byte * cover + 128);
    return (uint8_t)((uint16_t)(product + (product >> 8)) >> 8);
}

/* Where alpha is 255 everywhere, what is drawn and what was there share each byte. */
static void blend_chunk(uint8_t *restrict to, const uint8_t *restrict mask, const uint8_t *restrict source)
{
    uint8_t cover[4 * CHUNK];

    for (size_t col = 0; col < CHUNK; col++)
        for (size_t byte = 0; byte < 4; byte++)
            cover[4 * col + byte] = mask[col];
    for (size_t byte = 0; byte < 4 * CHUNK; byte++)
        to[byte] = (uint8_t)(share(source[byte], cover[byte]) + share(to[byte], 255u - cover[byte]));
}

/* As blend_row, for pixels whose fourth byte counts as 255. */
static void blend_opaque_row(uint8_t *restrict to, const uint8_t *restrict mask, size_t cols,
                             const uint8_t *restrict row, size_t width, size_t place)
{
    uint8_t source[4 * CHUNK], last[4 * CHUNK], last_mask[CHUNK];

    for (size_t col = 0; col < cols; col += CHUNK) {
        const size_t count = cols - col < CHUNK ? cols - col : CHUNK;
        if (col == 0 || width > 1)
            for (size_t at = 0; at < CHUNK; at++) {
                spicemig_store(source + 4 * at, spicemig_load(row + 4 * place) | UINT32_C(0xff000000));
                place = place + 1 < width ? place + 1 : 0;
            }
        if (count == CHUNK) {
            if (!covers_nothing(mask + col))
                blend_chunk(to + 4 * col, mask + col, source);
            continue;
        }
        memset(last, 0, sizeof last);
        memset(last_mask, 0, sizeof last_mask);
        memcpy(last, to + 4 * col, 4 * count);
        memcpy(last_mask, mask + col, count);
        blend_chunk(last, last_mask, source);
        memcpy(to + 4 * col, last, 4 * count);
    }
}

void spicemig_blend_mask(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                         const uint8_t *restrict mask, ptrdiff_t mask_stride, struct spicemig_tile tile,
                         int has_alpha)
{
    for (size_t row = 0; row < rows; row++) {
        const uint8_t *line = tile.pixels + (ptrdiff_t)tile.y * tile.stride;
        (has_alpha ? blend_row : blend_opaque_row)(dst + (ptrdiff_t)row * stride,
                                                   mask + (ptrdiff_t)row * mask_stride, cols, line,
                                                   tile.width, tile.x);
        if (++tile.y == tile.height)
            tile.y = 0;
    }
}
