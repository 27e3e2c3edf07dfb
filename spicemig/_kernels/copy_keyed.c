// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/copy_keyed.c: copies that leave out one colour. */
#include "copy_keyed.h"

#include "rop.h"

void spicemig_copy_keyed(uint8_t *restrict dst, ptrdiff_t dst_stride,
                         const uint8_t *restrict src, ptrdiff_t src_stride,
                         size_t rows, size_t cols, uint32_t key, uint32_t compared)
{
    for (size_t row = 0; row < rows; row++) {
        uint8_t *to = dst + (ptrdiff_t)row * dst_stride;
        const uint8_t *from = src + (ptrdiff_t)row * src_stride;
        for (size_t col = 0; col < cols; col++) {
            const uint32_t pixel = spicemig_load(from + 4 * col);
            const uint32_t kept = (pixel ^ key) & compared ? pixel : spicemig_load(to + 4 * col);
            spicemig_store(to + 4 * col, kept);
        }
    }
}
