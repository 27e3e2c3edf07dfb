// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/sketch.c: see sketch.h. */
#include "sketch.h"

#include <string.h>

#define SIDE 4   /* of a square */
#define LENGTH 8 /* pixels of a place, one beside the other; even */
#define SPOTS 6  /* squares looked at, in each direction */
#define COLOUR_BITS 24
#define HASH_FACTOR 0x9e3779b97f4a7c15u

static inline uint32_t colour_at(const uint8_t *at, size_t pixel_bytes)
{
    const uint32_t low = (uint32_t)(at[0] | at[1] << 8);

    return pixel_bytes == 2 ? low : low | (uint32_t)at[2] << 16;
}

/* Of a place; 0 if all its pixels are the same. */
static uint64_t hashed(const struct spicemig_sketched *image, size_t x, size_t y)
{
    const uint8_t *at = image->src + y * image->stride + x * image->pixel_bytes;
    const uint32_t first = colour_at(at, image->pixel_bytes);
    uint64_t hash = image->kind;
    uint32_t differ = 0;

    for (size_t index = 0; index < LENGTH; index += 2, at += 2 * image->pixel_bytes) {
        const uint32_t one = colour_at(at, image->pixel_bytes);
        const uint32_t other = colour_at(at + image->pixel_bytes, image->pixel_bytes);
        differ |= (one ^ first) | (other ^ first);
        hash = (hash ^ one ^ (uint64_t)other << COLOUR_BITS) * HASH_FACTOR;
        hash ^= hash >> 29;
    }
    return differ ? hash : 0;
}

static inline size_t slot_of(uint64_t hash, unsigned log)
{
    return 4 * (size_t)(hash >> (64 - log));
}

/* What is noted there; never 0. */
static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)hash | 1;
}

void spicemig_sketch_add(uint8_t *slots, unsigned log, const struct spicemig_sketched *image)
{
    for (size_t y = 0; y < image->height; y += SIDE)
        for (size_t x = 0; x + LENGTH <= image->width; x += SIDE) {
            const uint64_t hash = hashed(image, x, y);
            const uint32_t tag = tag_of(hash);
            if (hash)
                memcpy(slots + slot_of(hash, log), &tag, sizeof tag);
        }
}

/* Whether a square has a place that was noted; -1 if nothing changes in it. */
static int has(const uint8_t *slots, unsigned log, const struct spicemig_sketched *image, size_t left, size_t top)
{
    int found = -1;

    for (size_t y = top; y < top + SIDE && y < image->height; y++)
        for (size_t x = left; x < left + SIDE && x + LENGTH <= image->width; x++) {
            const uint64_t hash = hashed(image, x, y);
            uint32_t tag;
            if (hash == 0)
                continue;
            memcpy(&tag, slots + slot_of(hash, log), sizeof tag);
            if (tag == tag_of(hash))
                return 1;
            found = 0;
        }
    return found;
}

size_t spicemig_sketch_find(const uint8_t *slots, unsigned log, const struct spicemig_sketched *image,
                            size_t *tried)
{
    size_t found = 0;

    *tried = 0;
    if (image->width < LENGTH)
        return 0;
    for (size_t row = 0; row < SPOTS; row++)
        for (size_t column = 0; column < SPOTS; column++) {
            const int some = has(slots, log, image, column * (image->width - LENGTH) / SPOTS,
                                 row * image->height / SPOTS);
            *tried += some >= 0;
            found += some > 0;
        }
    return found;
}
