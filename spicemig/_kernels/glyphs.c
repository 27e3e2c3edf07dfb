// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glyphs.c: text as a mask of coverage, and colour through it. */
#include "glyphs.h"

#include <string.h>

#include "rop.h"

static inline uint8_t larger(uint8_t one, uint8_t other)
{
    return other > one ? other : one;
}

static inline void add_bit(uint8_t *mask, const uint8_t *line, int64_t col)
{
    *mask |= (uint8_t)-((line[col / 8] >> (7 - col % 8)) & 1);
}

/* A pixel of the left half of a byte. */
static inline void add_left(uint8_t *mask, uint8_t pair)
{
    *mask = larger(*mask, pair & 0xf0);
}

/* One of the right half; clients let what is below it count only beside an empty left one. */
static inline void add_right(uint8_t *mask, uint8_t pair)
{
    const uint8_t right = (uint8_t)(pair << 4);
    *mask = pair > 15 ? right : larger(*mask, right);
}

static void add_row(uint8_t *restrict mask, const uint8_t *restrict line, unsigned bits, int64_t first,
                    int64_t end)
{
    int64_t col = first;

    switch (bits) {
    case 1:
        for (; col < end; col++)
            add_bit(mask + col - first, line, col);
        break;
    case 4:
        if (col % 2 && col < end) {
            add_right(mask, line[col / 2]);
            col++;
        }
        for (; col + 1 < end; col += 2) {
            add_left(mask + col - first, line[col / 2]);
            add_right(mask + col - first + 1, line[col / 2]);
        }
        if (col < end)
            add_left(mask + col - first, line[col / 2]);
        break;
    default:
        for (; col < end; col++)
            mask[col - first] = larger(mask[col - first], line[col]);
        break;
    }
}

static void add_glyph(struct spicemig_cover cover, const struct spicemig_place *place, unsigned bits,
                      const uint8_t *data)
{
    const int64_t stride = spicemig_glyph_stride(place->width, bits);
    const int64_t first_row = place->y < 0 ? -place->y : 0;
    const int64_t end_row = place->height < cover.rows - place->y ? place->height : cover.rows - place->y;
    const int64_t first = place->x < 0 ? -place->x : 0;
    const int64_t end = place->width < cover.cols - place->x ? place->width : cover.cols - place->x;

    for (int64_t row = first_row; row < end_row && first < end; row++)
        add_row(cover.mask + (place->y + row) * cover.cols + place->x + first,
                data + (place->height - 1 - row) * stride, bits, first, end);
}

void spicemig_add_glyphs(struct spicemig_cover cover, const struct spicemig_place *places, size_t count,
                         unsigned bits, const uint8_t *data)
{
    for (size_t index = 0; index < count; index++) {
        add_glyph(cover, &places[index], bits, data);
        data += spicemig_glyph_stride(places[index].width, bits) * places[index].height;
    }
}

#define CHUNK 16 /* pixels that are blended at once */

static int covers_nothing(const uint8_t *mask)
{
    uint64_t parts[CHUNK / 8];

    memcpy(parts, mask, sizeof parts);
    return (parts[0] | parts[1]) == 0;
}

/* The product of two fractions of 255, rounded. */
static inline uint8_t times(unsigned one, unsigned other)
{
    const uint16_t product = (uint16_t)(one * other + 128);
    return (uint8_t)((uint16_t)(product + (product >> 8)) >> 8);
}

/* Each of four bytes gets the same value. */
static inline uint32_t four_times(uint8_t byte)
{
    return byte * UINT32_C(0x01010101);
}

static void blend_chunk(uint8_t *restrict to, const uint8_t *restrict mask, const uint8_t *restrict source)
{
    uint8_t cover[4 * CHUNK], above[4 * CHUNK], left[4 * CHUNK];

    for (size_t col = 0; col < CHUNK; col++)
        spicemig_store(cover + 4 * col, four_times(mask[col]));
    for (size_t byte = 0; byte < 4 * CHUNK; byte++)
        above[byte] = times(source[byte], cover[byte]);
    for (size_t col = 0; col < CHUNK; col++)
        spicemig_store(left + 4 * col, ~four_times((uint8_t)(spicemig_load(above + 4 * col) >> 24)));
    for (size_t byte = 0; byte < 4 * CHUNK; byte++) {
        const uint8_t sum = (uint8_t)(above[byte] + times(to[byte], left[byte]));
        to[byte] = sum < above[byte] ? 255 : sum; /* it went over */
    }
}

/* A row of a tile of this width, beginning with the pixel at place; opaque is set in its pixels. */
static void blend_row(uint8_t *restrict to, const uint8_t *restrict mask, size_t cols,
                      const uint8_t *restrict row, size_t width, size_t place, uint32_t opaque)
{
    uint8_t source[4 * CHUNK], last[4 * CHUNK] = {0}, last_mask[CHUNK] = {0};

    for (size_t col = 0; col < cols; col += CHUNK) {
        const size_t count = cols - col < CHUNK ? cols - col : CHUNK;
        if (col == 0 || width > 1)
            for (size_t at = 0; at < CHUNK; at++) {
                spicemig_store(source + 4 * at, spicemig_load(row + 4 * place) | opaque);
                place = place + 1 < width ? place + 1 : 0;
            }
        if (count == CHUNK) {
            if (!covers_nothing(mask + col))
                blend_chunk(to + 4 * col, mask + col, source);
            continue;
        }
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
        blend_row(dst + (ptrdiff_t)row * stride, mask + (ptrdiff_t)row * mask_stride, cols,
                  tile.pixels + (ptrdiff_t)tile.y * tile.stride, tile.width, tile.x,
                  has_alpha ? 0 : UINT32_C(0xff000000));
        if (++tile.y == tile.height)
            tile.y = 0;
    }
}
