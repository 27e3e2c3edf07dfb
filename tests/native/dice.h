// SPDX-License-Identifier: LGPL-2.1-or-later
/* tests/native/dice.h: random numbers that a seed repeats, and buffers of exactly the size that is asked for. */
#ifndef SPICEMIG_TESTS_DICE_H
#define SPICEMIG_TESTS_DICE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t dice;

static inline unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((dice >> 33) % sides);
}

/* A buffer, never null. */
static inline uint8_t *room_for(size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    if (bytes == NULL)
        abort();
    return bytes;
}

static inline uint8_t *random_bytes(size_t size)
{
    uint8_t *bytes = room_for(size);
    for (size_t index = 0; index < size; index++)
        bytes[index] = (uint8_t)roll(256);
    return bytes;
}

static inline uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = room_for(size);
    memcpy(copy, bytes, size);
    return copy;
}

#endif
