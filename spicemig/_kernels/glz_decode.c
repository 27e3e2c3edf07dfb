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

/* The same; without a jump where the image distance has no bytes of its own: which form it has is not foretold. */
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

/* Units to copy, the fourth bytes of pixels only. */
static inline void copy_alpha(uint8_t *out, const uint8_t *from, size_t count)
{
    for (size_t index = 0; index < count; index++)
        out[4 * index + 3] = from[4 * index + 3];
}

/* What is being decoded; source is that of the last reference to another image, so far back. */
struct decoder {
    const uint8_t *at, *end; /* of the data */
    uint8_t *start, *out, *out_end;
    unsigned type;
    uint64_t id, distance;
    struct spicemig_glz_source source;
    spicemig_glz_lookup *lookup;
    const void *images;
};

/* Find the image so far back, unless it is the last that was. */
static inline int found(struct decoder *decoder, size_t distance)
{
    if (distance != decoder->distance) {
        if (distance > decoder->id)
            return 0;
        decoder->distance = distance;
        decoder->source = decoder->lookup(decoder->images, decoder->id - distance, decoder->type);
    }
    return decoder->source.units != NULL;
}

/*
 * Decode colours of four bytes while no end is near, and stop in front of a token that is
 * not simple: for photographs, whose tokens are many, short and not foretold.
 */
static inline void decode_simple(struct decoder *decoder)
{
    const uint8_t *at = decoder->at, *const end = decoder->end, *const dst = decoder->start;
    uint8_t *out = decoder->out, *const out_end = decoder->out_end;

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
        struct reference to;
        if (!get_reference(&next, end, control & 31, &to))
            break;
        if (to.distance == 0) {
            if (to.place >= (size_t)(out - dst) / 4)
                break;
            if (to.place >= 3)
                spicemig_lz_copy_units(out, out - 4 * (to.place + 1), length);
            else if (to.place == 0)
                spicemig_lz_repeat_unit(out, length);
            else
                spicemig_lz_copy_back(out, 4 * (to.place + 1), 4 * length, out_end);
        } else {
            if (!found(decoder, to.distance) || to.place > decoder->source.count ||
                length + 3 > decoder->source.count - to.place)
                break;
            spicemig_lz_copy_units(out, decoder->source.units + 4 * to.place, length);
        }
        at = next;
        out += 4 * length;
    }
    decoder->at = at;
    decoder->out = out;
}

/* Units are of unit bytes in memory; of a plane of alpha, the fourth of four is coded. */
static inline int decode(struct decoder *whose, size_t unit, int alpha, size_t bias)
{
    struct decoder decoder = *whose; /* of which nobody else knows: it need not be read again and again */

    for (decoder.out = decoder.start; decoder.out < decoder.out_end;) {
        if (unit == 4 && !alpha)
            decode_simple(&decoder);
        const size_t room = (size_t)(decoder.out_end - decoder.out) / unit;
        if (decoder.at == decoder.end)
            return 0;
        const unsigned control = *decoder.at++;
        if (control < SPICEMIG_LZ_LITERALS) {
            const size_t some = control + 1, coded = some * (alpha ? 1 : spicemig_lz_coded_bytes(unit));
            if (some > room || coded > (size_t)(decoder.end - decoder.at))
                return 0;
            if (alpha)
                for (size_t index = 0; index < some; index++)
                    decoder.out[4 * index + 3] = decoder.at[index];
            else
                spicemig_lz_get_literals(decoder.out, decoder.at, some, unit);
            decoder.at += coded;
            decoder.out += some * unit;
            continue;
        }
        size_t length = control >> 5;
        struct reference to;
        if (!spicemig_lz_get_length(&decoder.at, decoder.end, room, &length) ||
            !get_reference(&decoder.at, decoder.end, control & 31, &to))
            return 0;
        length += bias - 1;
        if (length > room)
            return 0;
        const uint8_t *from;
        if (to.distance == 0) {
            if (to.place >= (size_t)(decoder.out - decoder.start) / unit)
                return 0;
            from = decoder.out - (to.place + 1) * unit;
            if (!alpha)
                spicemig_lz_copy_back(decoder.out, (to.place + 1) * unit, length * unit, decoder.out_end);
        } else {
            const struct spicemig_glz_source *const source = &decoder.source;
            if (!found(&decoder, to.distance) || to.place > source->count || length > source->count - to.place)
                return 0;
            from = source->units + to.place * unit;
            if (!alpha)
                memcpy(decoder.out, from, length * unit);
        }
        if (alpha)
            copy_alpha(decoder.out, from, length);
        decoder.out += length * unit;
    }
    *whose = decoder;
    return 1;
}

int spicemig_glz_decode(uint8_t *dst, unsigned type, size_t count, uint64_t id, const uint8_t *data, size_t bytes,
                        spicemig_glz_lookup *lookup, const void *images)
{
    struct decoder decoder = {.at = data,
                              .end = data + bytes,
                              .start = dst,
                              .out_end = dst + count * spicemig_glz_unit_bytes(type),
                              .type = type,
                              .id = id,
                              .lookup = lookup,
                              .images = images};
    int whole;

    switch (type) {
    case SPICEMIG_GLZ_RGB16:
        whole = decode(&decoder, 2, 0, 2);
        break;
    case SPICEMIG_GLZ_RGB24:
        whole = decode(&decoder, 3, 0, 1);
        break;
    case SPICEMIG_GLZ_RGB32:
        whole = decode(&decoder, 4, 0, 1);
        break;
    case SPICEMIG_GLZ_RGBA:
        whole = decode(&decoder, 4, 0, 1) && decode(&decoder, 4, 1, 3);
        break;
    default:
        whole = decode(&decoder, 1, 0, 3);
    }
    return whole && decoder.at == decoder.end;
}
