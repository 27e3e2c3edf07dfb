// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/lz_tokens.h: the tokens that streams of the LZ family are made of.
 *
 * A token is a control byte below 32 and that many literal units and one more, or
 * a reference: a control byte whose upper three bits are its length and whose lower
 * five are the codec's, bytes that go on with the length, then the codec's own
 * bytes. Only what a reference points at differs between the codecs.
 *
 * An encoder has units of one, two or four bytes in memory, a decoder also of
 * three; of four, the last one is neither compared nor coded. Every function gets
 * the size as a constant, and what is not that size's falls away.
 */
#ifndef SPICEMIG_LZ_TOKENS_H
#define SPICEMIG_LZ_TOKENS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SPICEMIG_LZ_LITERALS 32     /* in one token at most; control bytes from there on are references */
#define SPICEMIG_LZ_LENGTH 7        /* a length that more bytes go on with */
#define SPICEMIG_LZ_SPARE_BYTES 8   /* that a writer may touch behind what it writes */
#define SPICEMIG_LZ_NEAR_BYTES 144  /* of an end: farther away, most tokens need no look at it */

/* The bytes of a unit in a stream. */
static inline size_t spicemig_lz_coded_bytes(size_t unit)
{
    return unit == 4 ? 3 : unit;
}

/* Eight bytes of units as a number; of units of four only what is compared. */
static inline uint64_t spicemig_lz_eight(const uint8_t *at, size_t unit)
{
    static const uint8_t colours[8] = {255, 255, 255, 0, 255, 255, 255, 0};
    uint64_t bytes, mask;

    memcpy(&bytes, at, 8);
    if (unit != 4)
        return bytes;
    memcpy(&mask, colours, 8);
    return bytes & mask;
}

static inline int spicemig_lz_equal(const uint8_t *one, const uint8_t *other, size_t unit)
{
    return memcmp(one, other, spicemig_lz_coded_bytes(unit)) == 0;
}

/* How many units from two places on are equal, up to the end of the second. */
static inline size_t spicemig_lz_alike(const uint8_t *one, const uint8_t *other, const uint8_t *end, size_t unit)
{
    const uint8_t *at = other;

    while (end - at >= 32) {
        uint64_t differ = 0;
        for (int word = 0; word < 4; word++)
            differ |= spicemig_lz_eight(one + 8 * word, unit) ^ spicemig_lz_eight(at + 8 * word, unit);
        if (differ)
            break;
        one += 32;
        at += 32;
    }
    while (end - at >= 8 && spicemig_lz_eight(one, unit) == spicemig_lz_eight(at, unit)) {
        one += 8;
        at += 8;
    }
    while (at < end && spicemig_lz_equal(one, at, unit)) {
        one += unit;
        at += unit;
    }
    return (size_t)(at - other) / unit;
}

/* Write literal units as tokens; returns the place behind them. */
static inline uint8_t *spicemig_lz_put_literals(uint8_t *out, const uint8_t *units, size_t count, size_t unit)
{
    while (count) {
        const size_t some = count < SPICEMIG_LZ_LITERALS ? count : SPICEMIG_LZ_LITERALS;
        *out++ = (uint8_t)(some - 1);
        if (unit == 1) {
            memcpy(out, units, some);
            out += some;
        } else {
            for (size_t index = 0; index < some; index++) {
                const uint8_t *from = units + index * unit;
                if (unit == 2) {
                    *out++ = from[1];
                    *out++ = from[0];
                } else {
                    memcpy(out, from, 4);
                    out += 3;
                }
            }
        }
        units += some * unit;
        count -= some;
    }
    return out;
}

/* Write the start of a reference: its length as it is coded, from 1 on, and the five bits of the codec. */
static inline uint8_t *spicemig_lz_put_reference(uint8_t *out, size_t length, unsigned bits)
{
    if (length < SPICEMIG_LZ_LENGTH) {
        *out++ = (uint8_t)(length << 5 | bits);
        return out;
    }
    *out++ = (uint8_t)(SPICEMIG_LZ_LENGTH << 5 | bits);
    for (length -= SPICEMIG_LZ_LENGTH; length >= 255; length -= 255)
        *out++ = 255;
    *out++ = (uint8_t)length;
    return out;
}

/*
 * Read what follows a reference's control byte; 0 if the data ends. A length that
 * exceeds limit is not followed to its end.
 */
static inline int spicemig_lz_get_length(const uint8_t **data, const uint8_t *end, size_t limit, size_t *length)
{
    unsigned more;

    if (*length < SPICEMIG_LZ_LENGTH)
        return 1;
    do {
        if (*data == end || *length > limit)
            return 0;
        more = *(*data)++;
        *length += more;
    } while (more == 255);
    return 1;
}

/* Read literal units: count of them, for which the caller has checked both ends. */
static inline void spicemig_lz_get_literals(uint8_t *out, const uint8_t *data, size_t count, size_t unit)
{
    if (unit == 1 || unit == 3) {
        memcpy(out, data, count * unit);
    } else {
        for (size_t index = 0; index < count; index++, out += unit) {
            if (unit == 2) {
                out[0] = data[2 * index + 1];
                out[1] = data[2 * index];
            } else {
                memcpy(out, data + 3 * index, 3);
                out[3] = 0;
            }
        }
    }
}

/* The same for units of four bytes, in fours: no end is near, on both sides. */
static inline void spicemig_lz_get_colours(uint8_t *out, const uint8_t *data, size_t count)
{
    static const uint8_t colours[4] = {255, 255, 255, 0};
    uint32_t mask, unit;

    memcpy(&mask, colours, 4);
    for (size_t done = 0; done < count; done += 4) {
        for (size_t index = done; index < done + 4; index++) {
            memcpy(&unit, data + 3 * index, 4);
            unit &= mask;
            memcpy(out + 4 * index, &unit, 4);
        }
    }
}

/*
 * Copy units of four bytes, four together, from elsewhere or from at least 16 bytes
 * back; up to three more are read and written.
 */
static inline void spicemig_lz_copy_units(uint8_t *out, const uint8_t *from, size_t count)
{
    memcpy(out, from, 16); /* most are short */
    for (size_t done = 4; done < count; done += 4)
        memcpy(out + 4 * done, from + 4 * done, 16);
}

/* Repeat the unit of four bytes in front; up to three more are written. */
static inline void spicemig_lz_repeat_unit(uint8_t *out, size_t count)
{
    uint8_t units[16];

    for (size_t index = 0; index < 16; index += 4)
        memcpy(units + index, out - 4, 4);
    for (size_t done = 0; done < count; done += 4)
        memcpy(out + 4 * done, units, 16);
}

/*
 * Copy bytes from a distance back; the two places may overlap, and then what was
 * copied is copied again. The end is of the buffer that may be written.
 */
static inline void spicemig_lz_copy_back(uint8_t *out, size_t distance, size_t bytes, const uint8_t *end)
{
    if (distance >= 16 && bytes <= 64 && (size_t)(end - out) >= bytes + 16) {
        for (size_t done = 0; done < bytes; done += 16)
            memcpy(out + done, out + done - distance, 16);
        return;
    }
    for (size_t done = 0; done < bytes;) {
        const size_t there = distance + done; /* repeats itself now */
        const size_t some = bytes - done < there ? bytes - done : there;
        memcpy(out + done, out - distance, some);
        done += some;
    }
}

#endif
