// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/composite.h: images combined with a surface through a mask; DRAW_COMPOSITE, ALPHA_BLEND. */
#ifndef SPICEMIG_COMPOSITE_H
#define SPICEMIG_COMPOSITE_H

#include <stddef.h>
#include <stdint.h>

#include "scale.h"

/* What an image shows beyond its sides; pixman's numbers. */
enum spicemig_repeat {
    SPICEMIG_REPEAT_NONE,
    SPICEMIG_REPEAT_NORMAL,
    SPICEMIG_REPEAT_PAD,
    SPICEMIG_REPEAT_REFLECT,
    SPICEMIG_REPEATS,
};

/*
 * An image and how it is read: pixel (col, row) of what is drawn has its centre at
 * matrix * (x + col + 1/2, y + row + 1/2, 1) of the image. The matrix is in 16.16
 * fixed point, row by row; width and height are not 0.
 */
struct spicemig_sampled {
    struct spicemig_image image;
    unsigned green_bits; /* 8; or 5 or 6 if the pixels were 555 or 565 and have these bits again below */
    int bilinear;
    enum spicemig_repeat repeat;
    int32_t matrix[6];
    int64_t x, y; /* and all places that follow from them below 2^25 */
};

/*
 * Combine rows x cols pixels of source, through mask unless that is NULL, with
 * those at dst. The operator has pixman's number, and is one that
 * spicemig_operator_of knows; others do nothing. by_parts: every part of a mask's
 * pixel counts for that part of the source. Without dst_has_alpha the surface is
 * opaque, and its fourth byte is what pixman leaves there. dst_green_bits is as
 * above; only operators that divide heed it, others leave the rounding to the caller.
 * The caller has checked that dst lies inside its buffer, which is not one of the
 * images'. Cannot fail. Equal to pixman, and to the reference in
 * devices/raster/reference_composite.py, byte by byte.
 */
void spicemig_composite(uint8_t *dst, ptrdiff_t dst_stride, size_t rows, size_t cols, int dst_has_alpha,
                        unsigned dst_green_bits, unsigned number, const struct spicemig_sampled *source,
                        const struct spicemig_sampled *mask, int by_parts);

#endif
