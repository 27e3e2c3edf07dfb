// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/copy.c: rectangles of pixels from one place to another. */
#include "copy.h"

#include <string.h>

#include "fill.h"
#include "rop.h"

void spicemig_copy_rect(uint8_t *restrict dst, ptrdiff_t dst_stride,
                        const uint8_t *restrict src, ptrdiff_t src_stride,
                        size_t rows, size_t cols, unsigned rop)
{
    const struct spicemig_rop masks = spicemig_rop_of(rop);

    for (size_t row = 0; row < rows; row++) {
        uint8_t *to = dst + (ptrdiff_t)row * dst_stride;
        const uint8_t *from = src + (ptrdiff_t)row * src_stride;
        if (rop == SPICEMIG_ROP_PUT) {
            memcpy(to, from, 4 * cols);
            continue;
        }
        for (size_t col = 0; col < cols; col++)
            spicemig_store(to + 4 * col, spicemig_rop_apply(masks, spicemig_load(from + 4 * col),
                                                            spicemig_load(to + 4 * col)));
    }
}

void spicemig_move_rect(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, size_t rows, size_t cols)
{
    const int downwards = dst > src; /* then the last row goes first */

    for (size_t step = 0; step < rows; step++) {
        const ptrdiff_t row = (ptrdiff_t)(downwards ? rows - 1 - step : step);
        memmove(dst + row * stride, src + row * stride, 4 * cols);
    }
}

void spicemig_scale_nearest(uint8_t *restrict dst, ptrdiff_t dst_stride, size_t rows, size_t cols,
                            const uint8_t *restrict src, ptrdiff_t src_stride,
                            uint64_t src_rows, uint64_t src_cols,
                            uint64_t full_rows, uint64_t full_cols,
                            uint64_t skip_y, uint64_t skip_x)
{
    for (size_t row = 0; row < rows; row++) {
        const uint64_t src_row = (2 * (skip_y + row) + 1) * src_rows / (2 * full_rows);
        const uint8_t *from = src + (ptrdiff_t)src_row * src_stride;
        uint8_t *to = dst + (ptrdiff_t)row * dst_stride;
        for (size_t col = 0; col < cols; col++) {
            const uint64_t src_col = (2 * (skip_x + col) + 1) * src_cols / (2 * full_cols);
            memcpy(to + 4 * col, from + 4 * src_col, 4);
        }
    }
}
