// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/scale.c: images made larger and smaller. */
#include "scale.h"

#include <string.h>

#include "interpolate.h"
#include "rop.h"

#define HALF 0x8000

static const uint8_t *row_at(const struct spicemig_image *image, int64_t row)
{
    return image->pixels + (ptrdiff_t)row * image->stride;
}

/* The row whose pixels are at y; NULL beyond the image. */
static const uint8_t *nearest_row(const struct spicemig_image *image, int64_t y)
{
    const int64_t row = (y - 1) >> 16; /* exactly between two is in the upper one */
    return row >= 0 && row < image->height ? row_at(image, row) : NULL;
}

static void nearest(uint8_t *restrict dst, size_t cols, const struct spicemig_image *image,
                    const uint8_t *restrict row, int64_t x, int64_t step)
{
    const struct spicemig_inside inside = spicemig_inside(x - 1, step, cols, image->width, 0);

    memset(dst, 0, 4 * inside.first);
    x += (int64_t)inside.first * step - 1;
    for (size_t col = inside.first; col < inside.end; col++, x += step)
        spicemig_store(dst + 4 * col, spicemig_load(row + 4 * (x >> 16)) | image->opaque);
    memset(dst + 4 * inside.end, 0, 4 * (cols - inside.end));
}

/* A row beyond the image does not count; which one stands for it does not matter. */
static struct spicemig_row_pair rows_around(const struct spicemig_image *image, int64_t y)
{
    const int64_t above = (y - HALF) >> 16, below = above + 1;
    const uint64_t weight = spicemig_weight(y - HALF);
    const int has_above = above >= 0 && above < image->height;
    const int has_below = below >= 0 && below < image->height;
    struct spicemig_row_pair pair = {
        .above = row_at(image, has_above ? above : has_below ? below : 0),
        .below = row_at(image, has_below ? below : has_above ? above : 0),
        .weight_above = has_above ? SPICEMIG_WHOLE - weight : 0,
        .weight_below = has_below ? weight : 0,
    };
    return pair;
}

static uint64_t column(const struct spicemig_row_pair *pair, const struct spicemig_image *image, int64_t col)
{
    if (col < 0 || col >= image->width)
        return 0;
    return spicemig_lanes(spicemig_load(pair->above + 4 * col) | image->opaque) * pair->weight_above +
           spicemig_lanes(spicemig_load(pair->below + 4 * col) | image->opaque) * pair->weight_below;
}

/* Where something beyond the image may be needed. */
static void interpolated_edge(uint8_t *restrict dst, size_t first, size_t end, const struct spicemig_image *image,
                              const struct spicemig_row_pair *pair, int64_t x, int64_t step)
{
    x += (int64_t)first * step;
    for (size_t col = first; col < end; col++, x += step)
        spicemig_store(dst + 4 * col, spicemig_between(column(pair, image, x >> 16), column(pair, image, (x >> 16) + 1),
                                                       spicemig_weight(x)));
}

static void interpolated(uint8_t *restrict dst, size_t cols, const struct spicemig_image *image,
                         struct spicemig_row_pair pair, int64_t x, int64_t step)
{
    struct spicemig_inside inside = spicemig_inside(x, step, cols, image->width, 1);
    const int is_whole = pair.weight_above + pair.weight_below == SPICEMIG_WHOLE;

    if (image->opaque != 0 && !is_whole) /* then alpha is not the whole either */
        inside.end = inside.first;
    interpolated_edge(dst, 0, inside.first, image, &pair, x, step);
    spicemig_interpolate(dst + 4 * inside.first, inside.end - inside.first, &pair,
                         x + (int64_t)inside.first * step, step, image->opaque);
    interpolated_edge(dst, inside.end, cols, image, &pair, x, step);
}

void spicemig_scale_part(uint8_t *restrict dst, ptrdiff_t dst_stride, size_t rows, size_t cols,
                         const struct spicemig_image *image, int64_t x, int64_t y,
                         int64_t step_x, int64_t step_y, int bilinear)
{
    const uint8_t *last = NULL; /* the row that the row of dst before was made of */

    if (image->width == 0 || image->height == 0) {
        for (size_t row = 0; row < rows; row++)
            memset(dst + (ptrdiff_t)row * dst_stride, 0, 4 * cols);
        return;
    }
    for (size_t row = 0; row < rows; row++, y += step_y) {
        uint8_t *to = dst + (ptrdiff_t)row * dst_stride;
        if (bilinear) {
            interpolated(to, cols, image, rows_around(image, y), x - HALF, step_x);
            continue;
        }
        const uint8_t *from = nearest_row(image, y);
        if (from == NULL)
            memset(to, 0, 4 * cols);
        else if (from == last)
            memcpy(to, to - dst_stride, 4 * cols);
        else
            nearest(to, cols, image, from, x, step_x);
        last = from;
    }
}
