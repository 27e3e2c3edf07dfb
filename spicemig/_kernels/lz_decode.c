// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lz_decode.c: see lz.h. */
#include "lz.h"

#include "lz_tokens.h"

#define FAR_DISTANCE 8191 /* from here on a distance has two bytes of its own */

/*
 * Decode units of four bytes while neither end is near, and stop in front of a token that
 * is not simple: for photographs, whose tokens are many, short and not foretold.
 */
static inline void decode_simple(const uint8_t **data, const uint8_t *end, const uint8_t *dst, uint8_t **result,
                                 const uint8_t *out_end)
{
    const uint8_t *at = *data;
    uint8_t *out = *result;

    while (end - at > SPICEMIG_LZ_NEAR_BYTES && out_end - out > SPICEMIG_LZ_NEAR_BYTES) {
        const unsigned control = *at;
        if (control < SPICEMIG_LZ_LITERALS) {
            spicemig_lz_get_colours(out, at + 1, control + 1);
            at += 1 + 3 * (control + 1);
            out += 4 * (control + 1);
            continue;
        }
        const uint8_t *next = at + 1;
        size_t length = control >> 5;
        if (length == SPICEMIG_LZ_LENGTH) {
            length += *next++;
            if (length >= 255 || out_end - out <= (ptrdiff_t)(4 * length + SPICEMIG_LZ_NEAR_BYTES))
                break;
        }
        const size_t near = (size_t)(control & 31) << 8 | next[0], is_far = near == FAR_DISTANCE;
        const size_t distance = near + (((size_t)next[1] << 8 | next[2]) & (0 - is_far)) + 1;
        if (distance > (size_t)(out - dst) / 4)
            break;
        if (distance >= 4)
            spicemig_lz_copy_units(out, out - 4 * distance, length);
        else if (distance == 1)
            spicemig_lz_repeat_unit(out, length);
        else
            spicemig_lz_copy_back(out, 4 * distance, 4 * length, out_end);
        at = next + 1 + 2 * is_far;
        out += 4 * length;
    }
    *data = at;
    *result = out;
}

static inline size_t decode(uint8_t *const dst, size_t count, const uint8_t *const data, size_t bytes, size_t unit,
                            size_t bias)
{
    const uint8_t *at = data, *const end = data + bytes;
    uint8_t *out = dst, *const out_end = dst + count * unit;

    while (out < out_end) {
        if (unit == 4)
            decode_simple(&at, end, dst, &out, out_end);
        if (at == end)
            return 0;
        const unsigned control = *at++;
        const size_t room = (size_t)(out_end - out) / unit;
        if (control < SPICEMIG_LZ_LITERALS) {
            const size_t some = control + 1, coded = some * spicemig_lz_coded_bytes(unit);
            if (some > room || coded > (size_t)(end - at))
                return 0;
            spicemig_lz_get_literals(out, at, some, unit);
            at += coded;
            out += some * unit;
            continue;
        }
        size_t length = control >> 5, distance = (size_t)(control & 31) << 8;
        if (!spicemig_lz_get_length(&at, end, room, &length) || at == end)
            return 0;
        distance += *at++;
        if (distance == FAR_DISTANCE) {
            if (end - at < 2)
                return 0;
            distance += (size_t)at[0] << 8 | at[1];
            at += 2;
        }
        length += bias - 1;
        distance += 1;
        if (length > room || distance > (size_t)(out - dst) / unit)
            return 0;
        spicemig_lz_copy_back(out, distance * unit, length * unit, out_end);
        out += length * unit;
    }
    return (size_t)(at - data);
}

size_t spicemig_lz_decode_scratch_bytes(unsigned plane, size_t count)
{
    return plane == SPICEMIG_LZ_ALPHA ? count : 0;
}

size_t spicemig_lz_decode(uint8_t *dst, unsigned plane, size_t count, void *scratch, const uint8_t *data,
                          size_t bytes)
{
    uint8_t *const alpha = scratch;
    size_t read;

    switch (plane) {
    case SPICEMIG_LZ_RGB16:
        return decode(dst, count, data, bytes, 2, 2);
    case SPICEMIG_LZ_RGB24:
        return decode(dst, count, data, bytes, 3, 1);
    case SPICEMIG_LZ_RGB32:
        return decode(dst, count, data, bytes, 4, 1);
    case SPICEMIG_LZ_ALPHA:
        read = decode(alpha, count, data, bytes, 1, 3);
        for (size_t index = 0; read && index < count; index++)
            dst[4 * index + 3] = alpha[index];
        return read;
    default:
        return decode(dst, count, data, bytes, 1, 3);
    }
}
