// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/quic_encode.c: see quic.h.
 *
 * Whatever does not depend on earlier symbols is made for many pixels at once, in
 * loops that compilers turn into vector code: pixels taken apart, where runs begin,
 * and the symbols between runs. What is left for the loop over pixels is to look up
 * codes. Areas of one colour cost little more than to read them.
 */
#include "quic_model.h"

struct writer {
    uint64_t bits; /* those not written yet, the first one highest */
    unsigned held; /* how many, fewer than 32 */
    uint8_t *at;
};

/* Up to 32 bits; a word is always stored, but counts only when it is full. */
QUIC_INLINE void put(struct writer *writer, uint32_t value, unsigned count)
{
    const uint64_t bits = writer->bits | (uint64_t)value << (64 - writer->held - count);
    const unsigned held = writer->held + count, full = held & 32;

    quic_put_word(writer->at, (uint32_t)(bits >> 32));
    writer->at += full >> 3;
    writer->bits = bits << full;
    writer->held = held & 31;
}

/* Pixels as the coder has them, from a row of the image. */
static void take_apart(struct spicemig_quic *coder, const uint8_t *src)
{
    uint8_t *restrict row = coder->parts[0].row, *restrict alpha = coder->parts[1].row;
    const size_t width = coder->width;

    switch (coder->type) {
    case SPICEMIG_QUIC_GRAY:
        memcpy(row, src, width);
        break;
    case SPICEMIG_QUIC_RGB16:
        for (size_t column = 0; column < width; column++) {
            const uint32_t word = (uint32_t)src[2 * column] | (uint32_t)src[2 * column + 1] << 8;
            quic_put_word(row + 4 * column, (word & 31) | (word << 3 & 0x1f00) | (word << 6 & 0x1f0000));
        }
        break;
    case SPICEMIG_QUIC_RGB24:
        for (size_t column = 0; column < width; column++) {
            row[4 * column] = src[3 * column];
            row[4 * column + 1] = src[3 * column + 1];
            row[4 * column + 2] = src[3 * column + 2];
            row[4 * column + 3] = 0;
        }
        break;
    case SPICEMIG_QUIC_RGBA:
        for (size_t column = 0; column < width; column++)
            alpha[column] = src[4 * column + 3];
        /* fall through */
    default:
        for (size_t column = 0; column < width; column++)
            quic_put_word(row + 4 * column, quic_word(src + 4 * column) & 0xffffff);
    }
}

/* Symbols are made so many at a time; lines have room for as many behind their last pixel. */
#define FEW_BYTES 16
#define MANY_BYTES 64

QUIC_INLINE uint8_t folded(unsigned difference, unsigned depth)
{
    const unsigned mask = (1u << depth) - 1;
    const uint8_t sign = (uint8_t)(0u - (difference >> (depth - 1) & 1));

    return (uint8_t)(((difference << 1) ^ sign) & mask);
}

QUIC_INLINE void fold_some(uint8_t *restrict symbols, const uint8_t *row, const uint8_t *left, const uint8_t *up,
                           size_t bytes, unsigned depth)
{
    for (size_t byte = 0; byte < bytes; byte++) {
        const uint8_t foretold = (uint8_t)((left[byte] & up[byte]) + ((left[byte] ^ up[byte]) >> 1));
        symbols[byte] = folded((uint8_t)(row[byte] - foretold), depth);
    }
}

/*
 * Make the symbols of pixels from start, as if all were coded, until at least end;
 * returns the first pixel that has none yet.
 */
QUIC_INLINE size_t fold(struct quic_part *part, size_t start, size_t end, int first, unsigned components,
                        unsigned depth)
{
    const size_t step = quic_step(components);
    const uint8_t *row = part->row, *left = row - step, *up = first ? left : part->above;
    uint8_t *fresh = part->fresh;
    size_t byte = start * step;

    if (end - start <= FEW_BYTES / step) {
        fold_some(fresh + byte, row + byte, left + byte, up + byte, FEW_BYTES, depth);
        byte += FEW_BYTES;
    } else {
        for (; byte < end * step; byte += MANY_BYTES)
            fold_some(fresh + byte, row + byte, left + byte, up + byte, MANY_BYTES, depth);
    }
    if (start == 0)
        for (size_t index = 0; index < step; index++)
            fresh[index] = folded((uint8_t)(row[index] - (first ? 0 : up[index])), depth);
    return byte / step;
}

/* Where runs begin; nowhere in the first row. */
static void find_runs(struct quic_part *part, size_t width, int first)
{
    uint8_t *restrict runs = part->runs;
    const uint8_t *same = part->same, *same_above = part->same_above;

    if (first) {
        memset(runs, 0, width);
        return;
    }
    for (size_t column = 0; column < width && column < QUIC_FIRST_RUN_COLUMN; column++)
        runs[column] = 0;
    for (size_t column = QUIC_FIRST_RUN_COLUMN; column < width; column++)
        runs[column] = same_above[column] & same[column - 1];
}

/* The first byte that is not as all bytes of pattern are; end if there is none. */
QUIC_INLINE size_t scan(const uint8_t *bytes, size_t start, size_t end, uint64_t pattern)
{
    while (start < end) {
        uint64_t eight;
        memcpy(&eight, bytes + start, 8);
        eight ^= pattern;
        if (eight) {
#if defined(__GNUC__) && QUIC_LITTLE
            start += (size_t)__builtin_ctzll(eight) / 8;
#else
            while (bytes[start] == (uint8_t)pattern)
                start++;
#endif
            return start < end ? start : end;
        }
        start += 8;
    }
    return end;
}

QUIC_INLINE void put_pixels(const struct quic_family *family, const struct quic_part *part,
                            struct writer *writer, size_t start, size_t end, unsigned components)
{
    const size_t step = quic_step(components);
    const uint8_t *symbols = part->fresh + start * step, *stop = part->fresh + end * step;

    for (; symbols < stop; symbols += step) {
        const uint8_t *context = symbols - step;
        if (components == 1) {
            const unsigned one = family->codes[part->best[0][context[0]]][symbols[0]];
            put(writer, one & 255, one >> 8);
            continue;
        }
        const unsigned red = family->codes[part->best[2][context[2]]][symbols[2]];
        const unsigned green = family->codes[part->best[1][context[1]]][symbols[1]];
        const unsigned blue = family->codes[part->best[0][context[0]]][symbols[0]];
        const unsigned count = (red >> 8) + (green >> 8) + (blue >> 8);
        if (QUIC_RARELY(count > 32)) {
            put(writer, red & 255, red >> 8);
            put(writer, green & 255, green >> 8);
            put(writer, blue & 255, blue >> 8);
        } else {
            put(writer, (((red & 255) << (green >> 8) | (green & 255)) << (blue >> 8)) | (blue & 255), count);
        }
    }
}

static void put_run(struct quic_part *part, struct writer *writer, size_t length)
{
    for (;;) {
        const size_t step = (size_t)1 << spicemig_quic_run_steps[part->run_step];
        if (length < step)
            break;
        length -= step;
        put(writer, 1, 1);
        quic_step_up(part);
    }
    put(writer, (uint32_t)length, spicemig_quic_run_steps[part->run_step] + 1u);
    quic_step_down(part);
}

QUIC_INLINE void encode_part(const struct quic_family *family, struct quic_part *part, struct writer *shared,
                             size_t width, int first, unsigned components, unsigned depth)
{
    const size_t step = quic_step(components);
    struct writer writer = *shared;
    unsigned stage;

    quic_compare(part, width, components);
    find_runs(part, width, first);
    for (size_t start = 0, end; start < width; start = end) {
        size_t column = start, run_began = width, made = start, kept = start;
        end = quic_segment(part, start, width, &stage);
        while (column < end) {
            const size_t lesson = column + part->pause;
            const size_t stop = lesson < end ? lesson + 1 : end;
            const size_t run = scan(part->runs, column + (column == run_began), stop, 0);

            if (made < run)
                made = fold(part, made > column ? made : column, run, first, components, depth);
            if (column == kept)
                memcpy(part->fresh + column * step - step, part->symbols + column * step - step, step);
            put_pixels(family, part, &writer, column, run, components);
            part->pause -= (unsigned)(run - column);
            column = run;
            if (run < stop) {
                memcpy(part->symbols + kept * step, part->fresh + kept * step, (run - kept) * step);
                column = kept = scan(part->same, run, end, UINT64_C(0x0101010101010101));
                put_run(part, &writer, column - run);
                run_began = run;
            } else if (lesson < end) {
                quic_learn(family, part, part->fresh + lesson * step, stage, components, depth);
                part->pause = quic_next_pause(part, stage);
            }
        }
        memcpy(part->symbols + kept * step, part->fresh + kept * step, (end - kept) * step);
    }
    memcpy(part->symbols - step, part->symbols, step);
    quic_next_row(part);
    *shared = writer;
}

static void encode_row(struct spicemig_quic *coder, struct writer *writer)
{
    const int first = coder->rows == 0;
    struct quic_part *parts = coder->parts;

    switch (coder->type) {
    case SPICEMIG_QUIC_GRAY:
        encode_part(&coder->family, &parts[0], writer, coder->width, first, 1, 8);
        break;
    case SPICEMIG_QUIC_RGB16:
        encode_part(&coder->family, &parts[0], writer, coder->width, first, 3, 5);
        break;
    default:
        encode_part(&coder->family, &parts[0], writer, coder->width, first, 3, 8);
        if (coder->type == SPICEMIG_QUIC_RGBA)
            encode_part(&coder->family, &parts[1], writer, coder->width, first, 1, 8);
    }
    coder->rows++;
}

/* Have the next row fetched while this one is coded. */
static void expect(const uint8_t *src, size_t bytes)
{
#if defined(__GNUC__)
    for (size_t byte = 0; byte < bytes; byte += 64)
        __builtin_prefetch(src + byte);
#else
    (void)src;
    (void)bytes;
#endif
}

size_t spicemig_quic_row_bytes(unsigned type, size_t width)
{
    /* a pixel takes a code for each symbol, and for each part an empty run or a longer one's share */
    const size_t parts = type == SPICEMIG_QUIC_RGBA ? 2 : 1;
    const size_t symbols = type == SPICEMIG_QUIC_GRAY ? 1 : parts + 2;
    const size_t bits = symbols * QUIC_LONGEST_CODE + parts * 18;

    return (width * bits + 7) / 8 + 16;
}

size_t spicemig_quic_encode(struct spicemig_quic *coder, const uint8_t *src, ptrdiff_t stride, size_t rows,
                            uint8_t *out, size_t room, size_t *filled)
{
    const size_t row_bytes = spicemig_quic_row_bytes(coder->type, coder->width);
    struct writer writer = {coder->bits, coder->held, out + *filled};
    size_t row;

    for (row = 0; row < rows && room - (size_t)(writer.at - out) >= row_bytes; row++) {
        take_apart(coder, src + (ptrdiff_t)row * stride);
        if (row + 1 < rows)
            expect(src + (ptrdiff_t)(row + 1) * stride, coder->width * spicemig_quic_pixel_bytes(coder->type));
        encode_row(coder, &writer);
    }
    coder->bits = writer.bits;
    coder->held = writer.held;
    *filled = (size_t)(writer.at - out);
    return row;
}

void spicemig_quic_end(struct spicemig_quic *coder, uint8_t *out, size_t *filled)
{
    if (coder->held) {
        quic_put_word(out + *filled, (uint32_t)(coder->bits >> 32));
        *filled += 4;
    }
    quic_put_word(out + *filled, 0);
    *filled += 4;
}
