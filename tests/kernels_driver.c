// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * tests/kernels_driver.c: random cases for the kernels, to be run under sanitizers.
 *
 * Every buffer is allocated to the byte, so that a step beyond it is seen, and
 * every result is compared with the plainest way to compute it. Prints the case
 * that differed and returns 1, or returns 0. Arguments: seed, number of cases.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "copy.h"
#include "fill.h"
#include "settle.h"
#include "tile.h"

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((dice >> 33) % sides);
}

/* A buffer of exactly this size, never null, with random bytes. */
static uint8_t *random_bytes(size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    if (bytes == NULL)
        abort();
    for (size_t index = 0; index < size; index++)
        bytes[index] = (uint8_t)roll(256);
    return bytes;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    return copy;
}

static uint8_t combined(unsigned rop, uint8_t src, uint8_t dst)
{
    uint8_t result = 0;
    for (int bit = 0; bit < 8; bit++) {
        const unsigned row = 2 * ((src >> bit) & 1u) + ((dst >> bit) & 1u);
        result = (uint8_t)(result | (((rop >> row) & 1u) << bit));
    }
    return result;
}

static int fill_case(void)
{
    const size_t rows = roll(9), cols = roll(40), gap = roll(9);
    const size_t stride = 4 * cols + gap, size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    const uint32_t value = roll(65536) * 65536u + roll(65536);
    uint8_t *pixels = random_bytes(size), *expected = copy_of(pixels, size);
    uint8_t colour[4];

    memcpy(colour, &value, 4);
    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * stride + byte;
            *at = combined(rop, colour[byte % 4], *at);
        }
    spicemig_fill_rect(pixels, (ptrdiff_t)stride, rows, cols, value, rop);
    const int same = memcmp(pixels, expected, size) == 0;
    free(pixels);
    free(expected);
    return same;
}

static int copy_case(void)
{
    const size_t rows = roll(9), cols = roll(40);
    const size_t to_stride = 4 * cols + roll(9), from_stride = 4 * cols + roll(9);
    const size_t to_size = rows ? (rows - 1) * to_stride + 4 * cols : 0;
    const size_t from_size = rows ? (rows - 1) * from_stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    const int bottom_up = rows && roll(2);
    uint8_t *dst = random_bytes(to_size), *src = random_bytes(from_size);
    uint8_t *expected = copy_of(dst, to_size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * to_stride + byte;
            *at = combined(rop, src[(bottom_up ? rows - 1 - row : row) * from_stride + byte], *at);
        }
    spicemig_copy_rect(dst, (ptrdiff_t)to_stride, bottom_up ? src + (rows - 1) * from_stride : src,
                       bottom_up ? -(ptrdiff_t)from_stride : (ptrdiff_t)from_stride, rows, cols, rop);
    const int same = memcmp(dst, expected, to_size) == 0;
    free(dst);
    free(src);
    free(expected);
    return same;
}

static int move_case(void)
{
    const size_t width = 1 + roll(24), height = 1 + roll(12), stride = 4 * width;
    const size_t cols = 1 + roll((unsigned)width), rows = 1 + roll((unsigned)height);
    const size_t left = roll((unsigned)(width - cols + 1)), top = roll((unsigned)(height - rows + 1));
    const size_t src_left = roll((unsigned)(width - cols + 1)), src_top = roll((unsigned)(height - rows + 1));
    uint8_t *pixels = random_bytes(stride * height);
    uint8_t *before = copy_of(pixels, stride * height), *expected = copy_of(pixels, stride * height);

    for (size_t row = 0; row < rows; row++)
        memcpy(expected + (top + row) * stride + 4 * left, before + (src_top + row) * stride + 4 * src_left,
               4 * cols);
    spicemig_move_rect(pixels + top * stride + 4 * left, pixels + src_top * stride + 4 * src_left,
                       (ptrdiff_t)stride, rows, cols);
    const int same = memcmp(pixels, expected, stride * height) == 0;
    free(pixels);
    free(before);
    free(expected);
    return same;
}

/* A tile of random pixels, its rows far apart; the caller frees what it returns. */
static uint8_t *random_tile(struct spicemig_tile *tile)
{
    tile->width = 1 + (roll(4) ? roll(9) : roll(300));
    tile->height = 1 + roll(9);
    tile->stride = (ptrdiff_t)(4 * tile->width + roll(9));
    tile->x = roll((unsigned)tile->width);
    tile->y = roll((unsigned)tile->height);
    uint8_t *pixels = random_bytes((tile->height - 1) * (size_t)tile->stride + 4 * tile->width);
    tile->pixels = pixels;
    return pixels;
}

static uint8_t tile_byte(const struct spicemig_tile *tile, size_t row, size_t byte)
{
    const size_t y = (tile->y + row) % tile->height, x = (tile->x + byte / 4) % tile->width;
    return tile->pixels[y * (size_t)tile->stride + 4 * x + byte % 4];
}

static int tile_case(void)
{
    const size_t rows = roll(12), cols = roll(400), stride = 4 * cols + roll(9);
    const size_t size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    struct spicemig_tile tile;
    uint8_t *painted = random_tile(&tile);
    uint8_t *pixels = random_bytes(size), *expected = copy_of(pixels, size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * stride + byte;
            *at = combined(rop, tile_byte(&tile, row, byte), *at);
        }
    spicemig_tile_rect(pixels, (ptrdiff_t)stride, rows, cols, tile, rop);
    const int same = memcmp(pixels, expected, size) == 0;
    free(painted);
    free(pixels);
    free(expected);
    return same;
}

static int rop3_case(void)
{
    const size_t rows = roll(9), cols = roll(300);
    const size_t to_stride = 4 * cols + roll(9), from_stride = 4 * cols + roll(9);
    const size_t to_size = rows ? (rows - 1) * to_stride + 4 * cols : 0;
    const size_t from_size = rows ? (rows - 1) * from_stride + 4 * cols : 0;
    const unsigned code = roll(256);
    struct spicemig_tile tile;
    uint8_t *painted = random_tile(&tile);
    uint8_t *dst = random_bytes(to_size), *src = random_bytes(from_size);
    uint8_t *expected = copy_of(dst, to_size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            const uint8_t t = tile_byte(&tile, row, byte), s = src[row * from_stride + byte];
            uint8_t *at = expected + row * to_stride + byte;
            *at = (uint8_t)((combined(code >> 4, s, *at) & t) | (combined(code & 15, s, *at) & ~t));
        }
    spicemig_rop3_rect(dst, (ptrdiff_t)to_stride, src, (ptrdiff_t)from_stride, rows, cols, tile, code);
    const int same = memcmp(dst, expected, to_size) == 0;
    free(painted);
    free(dst);
    free(src);
    free(expected);
    return same;
}

/* That nothing outside is touched, and that a second time changes nothing. */
static int settle_case(void)
{
    static const unsigned formats[] = {1, 8, 16, 32, 80, 96};
    const size_t rows = roll(9), cols = roll(40), stride = 4 * cols + roll(9);
    const size_t size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned format = formats[roll(6)];
    uint8_t *pixels = random_bytes(size);

    spicemig_settle_rect(pixels, (ptrdiff_t)stride, rows, cols, format);
    uint8_t *once = copy_of(pixels, size);
    spicemig_settle_rect(pixels, (ptrdiff_t)stride, rows, cols, format);
    const int same = memcmp(pixels, once, size) == 0;
    free(pixels);
    free(once);
    return same;
}

/* Only that nothing outside is touched: what is written is compared with the Python twin elsewhere. */
static int convert_case(void)
{
    const unsigned format = 1 + roll(10);
    const size_t rows = roll(9), cols = roll(40), entries = roll(300);
    const size_t stride = spicemig_row_bytes(format, cols) + roll(5);
    const size_t size = rows ? (rows - 1) * stride + spicemig_row_bytes(format, cols) : 0;
    const int bottom_up = rows && roll(2);
    uint8_t *src = random_bytes(size), *palette = random_bytes(4 * entries);
    uint8_t *dst = random_bytes(4 * rows * cols);

    spicemig_convert_rows(dst, (ptrdiff_t)(4 * cols), bottom_up ? src + (rows - 1) * stride : src,
                          bottom_up ? -(ptrdiff_t)stride : (ptrdiff_t)stride, rows, cols, format, palette,
                          entries);
    free(src);
    free(palette);
    free(dst);
    return 1;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } kinds[] = {{"fill", fill_case}, {"copy", copy_case}, {"move", move_case}, {"tile", tile_case},
                 {"rop3", rop3_case}, {"settle", settle_case}, {"convert", convert_case}};
    const unsigned long cases = count > 2 ? strtoul(arguments[2], NULL, 10) : 1000;

    dice = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    for (unsigned long index = 0; index < cases; index++) {
        const size_t kind = index % (sizeof kinds / sizeof kinds[0]);
        const uint64_t before = dice;
        if (!kinds[kind].run()) {
            printf("%s differs with dice at %llu\n", kinds[kind].name, (unsigned long long)before);
            return 1;
        }
    }
    return 0;
}
