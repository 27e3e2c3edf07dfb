// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/scale.h: images made larger and smaller. */
#ifndef SPICEMIG_SCALE_H
#define SPICEMIG_SCALE_H

#include <stddef.h>
#include <stdint.h>

/* Pixels of 32 bits to read from; what is not in the image is 0. */
struct spicemig_image {
    const uint8_t *pixels;
    ptrdiff_t stride;   /* in bytes */
    int32_t width, height;
    uint32_t opaque;    /* or'ed to every pixel: 0xff000000 if the fourth byte is not alpha, else 0 */
};

/*
 * Write rows x cols pixels, the first of which is what the image has at (x, y),
 * the next ones step_x and step_y further. All in 16.16 fixed point; steps are
 * not negative. Interpolates between four pixels, with weights of seven bits as
 * pixman has them, or takes the one at the place. The caller has checked that
 * every place, and half a pixel before the first, fits into 32 bits with sign.
 * Cannot fail. Reference: devices/raster/reference_scale.py, equal byte by byte.
 */
void spicemig_scale_part(uint8_t *restrict dst, ptrdiff_t dst_stride, size_t rows, size_t cols,
                         const struct spicemig_image *image, int64_t x, int64_t y,
                         int64_t step_x, int64_t step_y, int bilinear);

#endif
