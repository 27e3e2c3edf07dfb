// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/convert.c: rows of any SPICE bitmap format become 32-bit pixels. */
#include "convert.h"

#include <string.h>

#include "wide.h"

/* One number, so that the compiler sees one store where the host's order of bytes allows it. */
static inline void put(uint8_t *to, uint32_t blue, uint32_t green, uint32_t red, uint32_t alpha)
{
    const uint32_t value = blue | green << 8 | red << 16 | alpha << 24;

    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    to[2] = (uint8_t)(value >> 16);
    to[3] = (uint8_t)(value >> 24);
}

/* The upper bits of a five-bit value again below it, so that 31 becomes 255. */
static inline unsigned widened(unsigned five)
{
    return (five << 3) | (five >> 2);
}

static inline void put_index(uint8_t *to, size_t index, const uint8_t *palette, size_t entries)
{
    if (index < entries)
        memcpy(to, palette + 4 * index, 4);
    else
        put(to, 0, 0, 0, 0);
}

size_t spicemig_row_bytes(unsigned format, size_t cols)
{
    switch (format) {
    case SPICEMIG_1BIT_LE:
    case SPICEMIG_1BIT_BE:
        return (cols + 7) / 8;
    case SPICEMIG_4BIT_LE:
    case SPICEMIG_4BIT_BE:
        return (cols + 1) / 2;
    case SPICEMIG_8BIT:
    case SPICEMIG_8BIT_A:
        return cols;
    case SPICEMIG_16BIT:
        return 2 * cols;
    case SPICEMIG_24BIT:
        return 3 * cols;
    case SPICEMIG_32BIT:
    case SPICEMIG_RGBA:
        return 4 * cols;
    default:
        return 0;
    }
}

/* All but the last pixel are read with the byte behind them, which there is. */
static void convert_24_bits(uint8_t *restrict to, const uint8_t *restrict from, size_t cols)
{
    for (size_t col = 0; col < cols; col++) {
        memcpy(to + 4 * col, from + 3 * col, col + 1 < cols ? 4 : 3);
        to[4 * col + 3] = 0;
    }
}

SPICEMIG_WIDE
static void convert_row(uint8_t *restrict to, const uint8_t *restrict from, size_t cols,
                        unsigned format, const uint8_t *palette, size_t entries)
{
    switch (format) {
    case SPICEMIG_1BIT_LE:
        for (size_t col = 0; col < cols; col++)
            put_index(to + 4 * col, (from[col / 8] >> (col % 8)) & 1u, palette, entries);
        break;
    case SPICEMIG_1BIT_BE:
        for (size_t col = 0; col < cols; col++)
            put_index(to + 4 * col, (from[col / 8] >> (7 - col % 8)) & 1u, palette, entries);
        break;
    case SPICEMIG_4BIT_LE:
        for (size_t col = 0; col < cols; col++)
            put_index(to + 4 * col, (from[col / 2] >> (4 * (col % 2))) & 15u, palette, entries);
        break;
    case SPICEMIG_4BIT_BE:
        for (size_t col = 0; col < cols; col++)
            put_index(to + 4 * col, (from[col / 2] >> (4 - 4 * (col % 2))) & 15u, palette, entries);
        break;
    case SPICEMIG_8BIT:
        for (size_t col = 0; col < cols; col++)
            put_index(to + 4 * col, from[col], palette, entries);
        break;
    case SPICEMIG_16BIT:
        for (size_t col = 0; col < cols; col++) {
            const unsigned pixel = from[2 * col] | ((unsigned)from[2 * col + 1] << 8);
            put(to + 4 * col, widened(pixel & 31u), widened((pixel >> 5) & 31u),
                widened((pixel >> 10) & 31u), 255);
        }
        break;
    case SPICEMIG_24BIT:
        convert_24_bits(to, from, cols);
        break;
    case SPICEMIG_8BIT_A:
        for (size_t col = 0; col < cols; col++)
            put(to + 4 * col, 0, 0, 0, from[col]);
        break;
    default:
        memcpy(to, from, 4 * cols);
        break;
    }
}

void spicemig_convert_rows(uint8_t *restrict dst, ptrdiff_t dst_stride,
                           const uint8_t *restrict src, ptrdiff_t src_stride,
                           size_t rows, size_t cols, unsigned format,
                           const uint8_t *palette, size_t entries)
{
    for (size_t row = 0; row < rows; row++)
        convert_row(dst + (ptrdiff_t)row * dst_stride, src + (ptrdiff_t)row * src_stride, cols, format,
                    palette, entries);
}
