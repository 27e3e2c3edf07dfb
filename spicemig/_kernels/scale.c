// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/scale.c: images made larger and smaller. */
#include "scale.h"

#include <string.h>

#include "interpolate.h"
#include "rop.h"

#define HALF 0x8000

/* Two rows of an image, and how much each counts. */
struct row_pair {
    const uint8_t *above, *below;
    uint64_t weight_above, weight_below;
};

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
    for (size_t col = 0; col < cols; col++, x += step) {
        const int64_t from = (x - 1) >> 16;
        const int there = from >= 0 && from < image->width;
        spicemig_store(dst + 4 * col, there ? spicemig_load(row + 4 * from) | image->opaque : 0);
    }
}

/* A row beyond the image does not count; which one stands for it does not matter. */
static struct row_pair rows_around(const struct spicemig_image *image, int64_t y)
{
    const int64_t above = (y - HALF) >> 16, below = above + 1;
    const uint64_t weight = spicemig_weight(y - HALF);
    const int has_above = above >= 0 && above < image->height;
    const int has_below = below >= 0 && below < image->height;
    struct row_pair pair = {
        .above = row_at(image, has_above ? above : has_below ? below : 0),
        .below = row_at(image, has_below ? below : has_above ? above : 0),
        .weight_above = has_above ? SPICEMIG_WHOLE - weight : 0,
        .weight_below = has_below ? weight : 0,
    };
    return pair;
}

static inline uint64_t column(const struct row_pair *pair, const struct spicemig_image *image, int64_t col)
{
    if (col < 0 || col >= image->width)
        return 0;
    return spicemig_lanes(spicemig_load(pair->above + 4 * col) | image->opaque) * pair->weight_above +
           spicemig_lanes(spicemig_load(pair->below + 4 * col) | image->opaque) * pair->weight_below;
}

static void interpolated(uint8_t *restrict dst, size_t cols, const struct spicemig_image *image,
                         struct row_pair pair, int64_t x, int64_t step)
{
    int64_t current = (x - HALF) >> 16;
    uint64_t left = column(&pair, image, current), right = column(&pair, image, current + 1);

    for (size_t col = 0; col < cols; col++, x += step) {
        const int64_t wanted = (x - HALF) >> 16;
        if (wanted != current) {
            left = wanted == current + 1 ? right : column(&pair, image, wanted);
            right = column(&pair, image, wanted + 1);
            current = wanted;
        }
        spicemig_store(dst + 4 * col, spicemig_between(left, right, spicemig_weight(x - HALF)));
    }
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
            interpolated(to, cols, image, rows_around(image, y), x, step_x);
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
