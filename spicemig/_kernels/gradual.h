// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/gradual.h: how gradually the colours of an image change. */
#ifndef SPICEMIG_GRADUAL_H
#define SPICEMIG_GRADUAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The sum of what samples of an image of at least 2x2 pixels score, in quarters;
 * *pairs is how many pairs of neighbours were compared. pixel_bytes is 2 (x555,
 * little-endian), 3 or 4 (blue, green, red, anything). The stride is in bytes.
 * Reference: codecs/gradual_reference.py.
 */
int64_t spicemig_gradual_score(const uint8_t *src, size_t stride, size_t width, size_t height,
                               size_t pixel_bytes, size_t *pairs);

#endif
