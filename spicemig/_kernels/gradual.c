// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/gradual.c: see gradual.h. */
#include "gradual.h"

#include <stdlib.h>

#define STEP 15 /* pixels from sample to sample */

enum { SAME = 2, CONTRAST = 4, NEAR = -1 }; /* what a pair scores */

static inline int compare(const uint8_t *one, const uint8_t *other, size_t pixel_bytes)
{
    int differ = 0;

    if (pixel_bytes == 2) {
        const int a = one[0] | one[1] << 8, b = other[0] | other[1] << 8;
        for (int shift = 0; shift < 15; shift += 5) {
            const int difference = abs((a >> shift & 31) - (b >> shift & 31));
            if (difference >= 8)
                return CONTRAST;
            differ |= difference;
        }
    } else {
        for (int component = 0; component < 3; component++) {
            const int difference = abs(one[component] - other[component]);
            if (difference >= 60)
                return CONTRAST;
            differ |= difference;
        }
    }
    return differ ? NEAR : SAME;
}

int64_t spicemig_gradual_score(const uint8_t *src, size_t stride, size_t width, size_t height,
                               size_t pixel_bytes, size_t *pairs)
{
    const size_t step = STEP % width ? STEP : STEP - 1, last = (height - 1) * width;
    int64_t score = 0;

    *pairs = 0;
    for (size_t pixel = width / 2; pixel < last; pixel += step) {
        if ((pixel + 1) % width == 0)
            pixel--; /* it has no right neighbour */
        const uint8_t *here = src + pixel / width * stride + pixel % width * pixel_bytes;
        const int right = compare(here, here + pixel_bytes, pixel_bytes);
        const int below = compare(here, here + stride, pixel_bytes);
        const int across = compare(here, here + stride + pixel_bytes, pixel_bytes);
        if (right != SAME || below != SAME || across != SAME)
            score += right + below + across;
        *pairs += 3;
    }
    return score;
}
