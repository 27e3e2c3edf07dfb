// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/fill.c: one colour into a rectangle. */
#include "fill.h"

#include <string.h>

#include "wide.h"

SPICEMIG_WIDE
void spicemig_fill_rect(uint8_t *dst, ptrdiff_t stride, size_t rows, size_t cols,
                        uint32_t value, unsigned rop)
{
    if (rows == 0 || cols == 0)
        return;
    if (rop == SPICEMIG_ROP_PUT) {
        for (size_t col = 0; col < cols; col++)
            spicemig_store(dst + 4 * col, value);
        for (size_t row = 1; row < rows; row++)
            memcpy(dst + (ptrdiff_t)row * stride, dst, 4 * cols);
        return;
    }
    /* With the source known, a bit is kept or forgotten, and then set or turned round. */
    const struct spicemig_rop masks = spicemig_rop_of(rop);
    const uint32_t if_clear = spicemig_rop_apply(masks, value, 0);
    const uint32_t kept = if_clear ^ spicemig_rop_apply(masks, value, UINT32_MAX);
    for (size_t row = 0; row < rows; row++) {
        uint8_t *line = dst + (ptrdiff_t)row * stride;
        for (size_t col = 0; col < cols; col++)
            spicemig_store(line + 4 * col, (spicemig_load(line + 4 * col) & kept) ^ if_clear);
    }
}
