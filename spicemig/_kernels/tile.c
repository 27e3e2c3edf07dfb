// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/tile.c: pictures that repeat. */
#include "tile.h"

#include <string.h>

#include "rop.h"
#include "wide.h"

#define RUN_PIXELS 256 /* a narrow tile is repeated up to this before it is drawn with */

/* Pixels of the tile beside each other: those of a row from a place on, again and again. */
struct run {
    const uint8_t *pixels;
    size_t cols, first; /* how many before it repeats; where it starts */
};

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Row y of the tile; spare has room for RUN_PIXELS. */
static struct run run_of(const struct spicemig_tile *tile, size_t y, uint8_t *spare)
{
    const uint8_t *row = tile->pixels + (ptrdiff_t)y * tile->stride;
    struct run run = {.pixels = row, .cols = tile->width, .first = tile->x};

    if (tile->width > RUN_PIXELS / 2)
        return run;
    run.pixels = spare;
    run.cols = RUN_PIXELS / tile->width * tile->width;
    memcpy(spare, row, 4 * tile->width);
    for (size_t done = tile->width; done < run.cols; done *= 2)
        memcpy(spare + 4 * done, spare, 4 * smaller(done, run.cols - done));
    return run;
}

void spicemig_tile_rect(uint8_t *restrict dst, ptrdiff_t stride, size_t rows, size_t cols,
                        struct spicemig_tile tile, unsigned rop)
{
    uint8_t spare[4 * RUN_PIXELS];
    struct run run = run_of(&tile, tile.y, spare);
    size_t y = tile.y;

    for (size_t row = 0; row < rows; row++, y = y + 1 < tile.height ? y + 1 : 0) {
        uint8_t *to = dst + (ptrdiff_t)row * stride;
        if (rop == SPICEMIG_ROP_PUT && row >= tile.height) {
            memcpy(to, to - (ptrdiff_t)tile.height * stride, 4 * cols);
            continue;
        }
        if (tile.height > 1)
            run = run_of(&tile, y, spare);
        run.first = tile.x;
        for (size_t col = 0; col < cols; run.first = 0) {
            const size_t count = smaller(run.cols - run.first, cols - col);
            spicemig_rop_line(to + 4 * col, run.pixels + 4 * run.first, count, rop);
            col += count;
        }
    }
}

/*
 * The operation as a sum, modulo two, of products of its inputs: term (4 * tile +
 * 2 * src + dst) says whether the product of these three counts.
 */
struct terms {
    uint32_t of[8];
};

static struct terms terms_of(unsigned code)
{
    struct terms terms;

    for (unsigned input = 1; input < 8; input *= 2)
        for (unsigned row = 0; row < 8; row++)
            if ((row & input) && ((code >> (row ^ input)) & 1u))
                code ^= 1u << row;
    for (unsigned row = 0; row < 8; row++)
        terms.of[row] = (code >> row) & 1u ? UINT32_MAX : 0;
    return terms;
}

SPICEMIG_WIDE
static void rop3_line(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict tile,
                      size_t cols, const struct terms terms)
{
    for (size_t col = 0; col < cols; col++) {
        const uint32_t t = spicemig_load(tile + 4 * col);
        const uint32_t s = spicemig_load(src + 4 * col);
        const uint32_t d = spicemig_load(dst + 4 * col);
        const uint32_t without = terms.of[0] ^ (terms.of[1] & d) ^ (s & (terms.of[2] ^ (terms.of[3] & d)));
        const uint32_t with = terms.of[4] ^ (terms.of[5] & d) ^ (s & (terms.of[6] ^ (terms.of[7] & d)));
        spicemig_store(dst + 4 * col, without ^ (t & with));
    }
}

/* The same for codes that do not ask what is there, so that it need not be read. */
SPICEMIG_WIDE
static void rop3_line_over(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict tile,
                           size_t cols, const struct terms terms)
{
    for (size_t col = 0; col < cols; col++) {
        const uint32_t t = spicemig_load(tile + 4 * col);
        const uint32_t s = spicemig_load(src + 4 * col);
        const uint32_t without = terms.of[0] ^ (s & terms.of[2]);
        const uint32_t with = terms.of[4] ^ (s & terms.of[6]);
        spicemig_store(dst + 4 * col, without ^ (t & with));
    }
}

void spicemig_rop3_rect(uint8_t *restrict dst, ptrdiff_t dst_stride,
                        const uint8_t *restrict src, ptrdiff_t src_stride,
                        size_t rows, size_t cols, struct spicemig_tile tile, unsigned code)
{
    const struct terms terms = terms_of(code);
    const int over = ((code >> 1 ^ code) & 0x55) == 0; /* the same for both values of a bit that is there */
    uint8_t spare[4 * RUN_PIXELS];
    struct run run = run_of(&tile, tile.y, spare);
    size_t y = tile.y;

    for (size_t row = 0; row < rows; row++, y = y + 1 < tile.height ? y + 1 : 0) {
        uint8_t *to = dst + (ptrdiff_t)row * dst_stride;
        const uint8_t *from = src + (ptrdiff_t)row * src_stride;
        if (tile.height > 1)
            run = run_of(&tile, y, spare);
        run.first = tile.x;
        for (size_t col = 0; col < cols; run.first = 0) {
            const size_t count = smaller(run.cols - run.first, cols - col);
            if (over)
                rop3_line_over(to + 4 * col, from + 4 * col, run.pixels + 4 * run.first, count, terms);
            else
                rop3_line(to + 4 * col, from + 4 * col, run.pixels + 4 * run.first, count, terms);
            col += count;
        }
    }
}
