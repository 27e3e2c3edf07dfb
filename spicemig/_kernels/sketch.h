// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/sketch.h: images that are known again by the hashes of some of their places. */
#ifndef SPICEMIG_SKETCH_H
#define SPICEMIG_SKETCH_H

#include <stddef.h>
#include <stdint.h>

/* Pixels, first row first; 2 bytes a pixel, 3, or 4 of which the last is not looked at. The stride is in bytes. */
struct spicemig_sketched {
    const uint8_t *src;
    size_t stride, width, height, pixel_bytes;
    uint8_t kind; /* images of different ones have nothing in common */
};

/*
 * A table of 1 << log slots of four bytes, 0 where there is nothing; log is 1 to 24. One
 * place in each square of the image is noted, over what was in its slot; where
 * the colours do not change, nothing is. Reference: codecs/sketch_reference.py.
 */
void spicemig_sketch_add(uint8_t *slots, unsigned log, const struct spicemig_sketched *image);

/* How many of *tried squares, spread over the image, have a place that was noted. */
size_t spicemig_sketch_find(const uint8_t *slots, unsigned log, const struct spicemig_sketched *image,
                            size_t *tried);

#endif
