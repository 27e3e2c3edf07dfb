// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/interpolate.h: pixels between pixels, for the other kernels. */
#ifndef SPICEMIG_INTERPOLATE_H
#define SPICEMIG_INTERPOLATE_H

#include <stddef.h>
#include <stdint.h>

/* Weights are parts of 128, as pixman has them. */
#define SPICEMIG_WHOLE 128u

/* How much of the second of two pixels a place in 16.16 has; the first has the rest. */
static inline uint64_t spicemig_weight(int64_t place)
{
    return (uint64_t)place >> 9 & (SPICEMIG_WHOLE - 1);
}

/* The four bytes of a pixel in four lanes of 16 bits, which have room for a whole weight. */
static inline uint64_t spicemig_lanes(uint32_t pixel)
{
    return (pixel & 0x00ff00ffu) | (uint64_t)(pixel & 0xff00ff00u) << 24;
}

/* Two weighted sums in lanes as one pixel. */
static inline uint32_t spicemig_between(uint64_t first, uint64_t second, uint64_t weight)
{
    const uint64_t even = UINT64_C(0x0000ffff0000ffff), byte = UINT64_C(0x000000ff000000ff);
    const uint64_t rest = SPICEMIG_WHOLE - weight;
    const uint64_t low = (first & even) * rest + (second & even) * weight;
    const uint64_t high = (first >> 16 & even) * rest + (second >> 16 & even) * weight;
    const uint64_t blue_green = low >> 14 & byte, red_alpha = high >> 14 & byte;

    return (uint32_t)(blue_green | blue_green >> 24 | red_alpha << 16 | red_alpha >> 8);
}

/* Two rows of an image, and how much each counts; the two weights are less than the whole beyond the image. */
struct spicemig_row_pair {
    const uint8_t *above, *below;
    uint64_t weight_above, weight_below;
};

/* Which of a number of places need nothing beyond the sides of an image. */
struct spicemig_inside {
    size_t first, end;
};

/*
 * Of count places, the first at x, the next ones a step further, not negative:
 * those whose column, and the next one if with_next, are among width columns.
 */
struct spicemig_inside spicemig_inside(int64_t x, int64_t step, size_t count, int64_t width, int with_next);

/*
 * Write count pixels between those of two rows; x is the place of the first in
 * 16.16, the next ones a step further. All have a pixel at both sides. opaque is
 * or'ed to what comes out.
 */
void spicemig_interpolate(uint8_t *restrict dst, size_t count, const struct spicemig_row_pair *rows,
                          int64_t x, int64_t step, uint32_t opaque);

#endif
