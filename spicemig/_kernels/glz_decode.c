// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glz_decode.c: see glz.h. */
#include "glz.h"

#include "lz_tokens.h"

/* What a reference says, but for its length. */
struct reference {
    size_t distance, place;
};

/* Read what follows the length; bits are the lower five of the control byte. 0 if the data ends. */
static int get_any_reference(const uint8_t **data, const uint8_t *end, unsigned bits, struct reference *to)
{
    const uint8_t *at = *data;
    unsigned last, more, shift = 0, farther = 0;

    if (end - at < 2)
        return 0;
    to->place = (bits & 15) | (size_t)at[0] << 4;
    last = at[1];
    more = last >> 6;
    at += 2;
    if (bits & 16) {
        to->place |= (size_t)(last & 31) << 12;
        to->distance = 0;
        farther = last >> 5 & 1;
    } else {
        to->distance = last & 63;
        shift = 6;
    }
    if ((size_t)(end - at) < more + farther)
        return 0;
    for (; more; more--, shift += 8)
        to->distance |= (size_t)*at++ << shift;
    if (farther)
        to->place |= (size_t)*at++ << 17;
    *data = at;
    return 1;
}

/* The same; without a jump where the image distance has no bytes of its own. */
static inline int get_reference(const uint8_t **data, const uint8_t *end, unsigned bits, struct reference *to)
{
    const uint8_t *const at = *data;

    if (end - at < 3 || at[1] >> 6 != 0)
        return get_any_reference(data, end, bits, to);
    const size_t medium = 0 - (size_t)(bits >> 4 & 1), farther = at[1] >> 5 & medium;
    to->place = (bits & 15) | (size_t)at[0] << 4 | ((size_t)(at[1] & 31) << 12 & medium) |
                ((size_t)at[2] << 17 & (0 - farther));
    to->distance = at[1] & ~medium;
    *data = at + 2 + farther;
    return 1;
}

/*
 * Copy units of four bytes that lie elsewhere or, as few as 32 bytes, so far in
 * front. The ends are those of the buffers; few bytes are copied without a jump.
 */
static inline void copy_pixels(uint8_t *out, const uint8_t *out_end, const uint8_t *from, const uint8_t *from_end,
                               size_t bytes)
{
    if (bytes <= 32 && out_end - out >= 32 && from_end - from >= 32) {
        memcpy(out, from, 32);
        return;
    }
    memcpy(out, from, bytes);
}

/* Units to copy, the fourth bytes of pixels only. */
static inline void copy_alpha(uint8_t *out, const uint8_t *from, size_t count)
{
    for (size_t index = 0; index < count; index++)
        out[4 * index + 3] = from[4 * index + 3];
}

/* Units are of unit bytes in memory; of a plane of alpha, the fourth of four is coded. */
static inline const uint8_t *decode(uint8_t *const dst, unsigned type, size_t count, uint64_t id, const uint8_t *at,
                                    const uint8_t *const end, size_t unit, int alpha, size_t bias,
                                    spicemig_glz_lookup *lookup, const void *images)
{
    uint8_t *out = dst, *const out_end = dst + count * unit;
    struct spicemig_glz_source source = {NULL, 0};
    uint64_t source_distance = 0;

    while (out < out_end) {
        if (at == end)
            return NULL;
        const unsigned control = *at++;
        const size_t room = (size_t)(out_end - out) / unit;
        if (control < SPICEMIG_LZ_LITERALS) {
            const size_t some = control + 1, coded = some * (alpha ? 1 : spicemig_lz_coded_bytes(unit));
            if (some > room || coded > (size_t)(end - at))
                return NULL;
            if (alpha) {
                for (size_t index = 0; index < some; index++)
                    out[4 * index + 3] = at[index];
            } else {
                if (unit == 4 && some <= 4 && room >= 4 && end - at >= 16) {
                    for (size_t index = 0; index < 4; index++) {
                        memcpy(out + 4 * index, at + 3 * index, 4);
                        out[4 * index + 3] = 0;
                    }
                } else {
                    spicemig_lz_get_literals(out, at, some, unit);
                }
            }
            at += coded;
            out += some * unit;
            continue;
        }
        size_t length = control >> 5;
        struct reference to;
        if (!spicemig_lz_get_length(&at, end, room, &length) || !get_reference(&at, end, control & 31, &to))
            return NULL;
        length += bias - 1;
        if (length > room)
            return NULL;
        const uint8_t *from;
        if (to.distance == 0) {
            if (to.place >= (size_t)(out - dst) / unit)
                return NULL;
            from = out - (to.place + 1) * unit;
            if (unit == 4 && !alpha && to.place >= 7 && length <= 8)
                copy_pixels(out, out_end, from, out_end, length * unit);
            else if (!alpha)
                spicemig_lz_copy_back(out, (to.place + 1) * unit, length * unit, out_end);
        } else {
            if (to.distance != source_distance) {
                source_distance = to.distance;
                if (to.distance > id)
                    return NULL;
                source = lookup(images, id - to.distance, type);
            }
            if (source.units == NULL || to.place > source.count || length > source.count - to.place)
                return NULL;
            from = source.units + to.place * unit;
            if (unit == 4 && !alpha)
                copy_pixels(out, out_end, from, source.units + source.count * unit, length * unit);
            else if (!alpha)
                memcpy(out, from, length * unit);
        }
        if (alpha)
            copy_alpha(out, from, length);
        out += length * unit;
    }
    return at;
}

int spicemig_glz_decode(uint8_t *dst, unsigned type, size_t count, uint64_t id, const uint8_t *data, size_t bytes,
                        spicemig_glz_lookup *lookup, const void *images)
{
    const uint8_t *const end = data + bytes, *at = data;

    switch (type) {
    case SPICEMIG_GLZ_RGB16:
        at = decode(dst, type, count, id, at, end, 2, 0, 2, lookup, images);
        break;
    case SPICEMIG_GLZ_RGB24:
        at = decode(dst, type, count, id, at, end, 3, 0, 1, lookup, images);
        break;
    case SPICEMIG_GLZ_RGB32:
        at = decode(dst, type, count, id, at, end, 4, 0, 1, lookup, images);
        break;
    case SPICEMIG_GLZ_RGBA:
        at = decode(dst, type, count, id, at, end, 4, 0, 1, lookup, images);
        if (at != NULL)
            at = decode(dst, type, count, id, at, end, 4, 1, 3, lookup, images);
        break;
    default:
        at = decode(dst, type, count, id, at, end, 1, 0, 3, lookup, images);
    }
    return at == end;
}
