// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/rop.c: one line of pixels combined with another. */
#include "rop.h"

#include "wide.h"

/* A loop for each table, so that the compiler sees the operation and not its table. */
#define SPICEMIG_ROP_CASE(table)                                                                       \
    case table:                                                                                        \
        for (size_t col = 0; col < cols; col++)                                                        \
            spicemig_store(dst + 4 * col,                                                              \
                           spicemig_rop_apply(spicemig_rop_of(table), spicemig_load(src + 4 * col),    \
                                              spicemig_load(dst + 4 * col)));                          \
        break;

SPICEMIG_WIDE
void spicemig_rop_line(uint8_t *restrict dst, const uint8_t *restrict src, size_t cols, unsigned rop)
{
    switch (rop) {
        SPICEMIG_ROP_CASE(1)
        SPICEMIG_ROP_CASE(2)
        SPICEMIG_ROP_CASE(3)
        SPICEMIG_ROP_CASE(4)
        SPICEMIG_ROP_CASE(5)
        SPICEMIG_ROP_CASE(6)
        SPICEMIG_ROP_CASE(7)
        SPICEMIG_ROP_CASE(8)
        SPICEMIG_ROP_CASE(9)
        SPICEMIG_ROP_CASE(11)
        SPICEMIG_ROP_CASE(13)
        SPICEMIG_ROP_CASE(14)
    case 0:
        memset(dst, 0, 4 * cols);
        break;
    case 10: /* the destination stays */
        break;
    case SPICEMIG_ROP_PUT:
        memcpy(dst, src, 4 * cols);
        break;
    default:
        memset(dst, 0xff, 4 * cols);
        break;
    }
}
