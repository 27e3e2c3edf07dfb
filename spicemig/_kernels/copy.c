// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/copy.c: rectangles of pixels from one place to another. */
#include "copy.h"

#include <string.h>

#include "rop.h"

void spicemig_copy_rect(uint8_t *restrict dst, ptrdiff_t dst_stride,
                        const uint8_t *restrict src, ptrdiff_t src_stride,
                        size_t rows, size_t cols, unsigned rop)
{
    for (size_t row = 0; row < rows; row++)
        spicemig_rop_line(dst + (ptrdiff_t)row * dst_stride, src + (ptrdiff_t)row * src_stride, cols, rop);
}

void spicemig_move_rect(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, size_t rows, size_t cols)
{
    const int downwards = dst > src; /* then the last row goes first */

    for (size_t step = 0; step < rows; step++) {
        const ptrdiff_t row = (ptrdiff_t)(downwards ? rows - 1 - step : step);
        memmove(dst + row * stride, src + row * stride, 4 * cols);
    }
}
