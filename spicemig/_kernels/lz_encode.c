// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lz_encode.c: see lz.h. */
#include "lz.h"

#include "lz_tokens.h"

#define SLOTS_LOG 13      /* of the table of places that were seen: it stays in the nearest cache */
#define PATIENCE_LOG 6    /* after as many misses every second place is tried, then every third */
#define FAR_DISTANCE 8191 /* as it is coded; from there on a reference takes two bytes more */
#define FARTHEST (FAR_DISTANCE + 65536)

/* The place that was last seen with a hash. */
typedef uint32_t slot;

static inline slot *slot_of(slot *slots, const uint8_t *at, size_t unit)
{
    uint64_t value = 0;

    if (unit == 4)
        value = spicemig_lz_eight(at, unit);
    else
        memcpy(&value, at, unit == 2 ? 6 : 4);
    return slots + (value * 0x9e3779b97f4a7c15u >> (64 - SLOTS_LOG));
}

/* Write a reference: a distance and a length in units. */
static inline uint8_t *put_reference(uint8_t *out, size_t distance, size_t length, size_t bias)
{
    size_t coded = distance - 1;

    length -= bias - 1;
    if (coded < FAR_DISTANCE) {
        out = spicemig_lz_put_reference(out, length, (unsigned)(coded >> 8));
    } else {
        coded -= FAR_DISTANCE;
        out = spicemig_lz_put_reference(out, length, 31);
        *out++ = 255;
        *out++ = (uint8_t)(coded >> 8);
    }
    *out++ = (uint8_t)coded;
    return out;
}

/* bias is the shortest reference, far_bias the shortest to far away: no longer as tokens than as literals. */
static inline size_t encode(slot *slots, const uint8_t *units, size_t count, size_t unit, size_t bias,
                            size_t far_bias, uint8_t *const start)
{
    const size_t ahead = 8 / unit; /* units that are looked at together */
    const uint8_t *const end = units + count * unit;
    uint8_t *out = start;
    size_t literal = 0, at = 1, misses = 0;

    memset(slots, 0, sizeof(slot) << SLOTS_LOG);
    while (at + ahead <= count) {
        const uint8_t *const here = units + at * unit;
        size_t distance = 1, length = 0;
        if (spicemig_lz_eight(here, unit) == spicemig_lz_eight(here - unit, unit)) {
            length = spicemig_lz_alike(here - unit, here, end, unit);
        } else {
            slot *const found = slot_of(slots, here, unit);
            const uint8_t *const seen = units + *found * unit;
            distance = at - *found;
            *found = (slot)at;
            if (distance <= FARTHEST && spicemig_lz_equal(seen, here, unit))
                length = spicemig_lz_alike(seen, here, end, unit);
        }
        if (length < (distance <= FAR_DISTANCE ? bias : far_bias)) {
            at += 1 + (misses++ >> PATIENCE_LOG);
            continue;
        }
        out = spicemig_lz_put_literals(out, units + literal * unit, at - literal, unit);
        out = put_reference(out, distance, length, bias);
        at = literal = at + length;
        misses = 0;
        if (at - 1 + ahead <= count)
            *slot_of(slots, units + (at - 1) * unit, unit) = (slot)(at - 1);
    }
    out = spicemig_lz_put_literals(out, units + literal * unit, count - literal, unit);
    return (size_t)(out - start);
}

size_t spicemig_lz_unit_bytes(unsigned plane)
{
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 4};

    return plane < sizeof bytes ? bytes[plane] : 0;
}

size_t spicemig_lz_room(unsigned plane, size_t count)
{
    const size_t unit = spicemig_lz_unit_bytes(plane);

    return count * (plane == SPICEMIG_LZ_ALPHA ? 1 : spicemig_lz_coded_bytes(unit)) +
           count / SPICEMIG_LZ_LITERALS + 1 + SPICEMIG_LZ_SPARE_BYTES;
}

size_t spicemig_lz_encode_scratch_bytes(unsigned plane, size_t count)
{
    const size_t copied = plane == SPICEMIG_LZ_RGB24 ? 4 : plane == SPICEMIG_LZ_ALPHA ? 1 : 0;

    return (sizeof(slot) << SLOTS_LOG) + copied * count;
}

size_t spicemig_lz_encode(const uint8_t *src, unsigned plane, size_t count, void *scratch, uint8_t *out)
{
    slot *const slots = scratch;
    uint8_t *const copy = (uint8_t *)(slots + ((size_t)1 << SLOTS_LOG));

    switch (plane) {
    case SPICEMIG_LZ_RGB16:
        return encode(slots, src, count, 2, 2, 3, out);
    case SPICEMIG_LZ_RGB24:
        for (size_t index = 0; index < count; index++) {
            memcpy(copy + 4 * index, src + 3 * index, 3);
            copy[4 * index + 3] = 0;
        }
        return encode(slots, copy, count, 4, 1, 2, out);
    case SPICEMIG_LZ_RGB32:
        return encode(slots, src, count, 4, 1, 2, out);
    case SPICEMIG_LZ_ALPHA:
        for (size_t index = 0; index < count; index++)
            copy[index] = src[4 * index + 3];
        return encode(slots, copy, count, 1, 3, 5, out);
    default:
        return encode(slots, src, count, 1, 3, 5, out);
    }
}
