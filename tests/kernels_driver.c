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

static int scale_case(void)
{
    const size_t src_rows = 1 + roll(9), src_cols = 1 + roll(9);
    const size_t full_rows = 1 + roll(30), full_cols = 1 + roll(30);
    const size_t rows = 1 + roll((unsigned)full_rows), cols = 1 + roll((unsigned)full_cols);
    const size_t skip_y = roll((unsigned)(full_rows - rows + 1)), skip_x = roll((unsigned)(full_cols - cols + 1));
    uint8_t *src = random_bytes(4 * src_rows * src_cols), *dst = random_bytes(4 * rows * cols);
    int same = 1;

    spicemig_scale_nearest(dst, (ptrdiff_t)(4 * cols), rows, cols, src, (ptrdiff_t)(4 * src_cols), src_rows,
                           src_cols, full_rows, full_cols, skip_y, skip_x);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col++) {
            const size_t from_row = (2 * (row + skip_y) + 1) * src_rows / (2 * full_rows);
            const size_t from_col = (2 * (col + skip_x) + 1) * src_cols / (2 * full_cols);
            same &= memcmp(dst + 4 * (row * cols + col), src + 4 * (from_row * src_cols + from_col), 4) == 0;
        }
    free(src);
    free(dst);
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
    } kinds[] = {{"fill", fill_case}, {"copy", copy_case}, {"move", move_case}, {"scale", scale_case},
                 {"convert", convert_case}};
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
