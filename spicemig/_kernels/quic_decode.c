// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/quic_decode.c: see quic.h.
 *
 * Each code says where the next one begins, so the loop over pixels keeps that
 * chain short: it counts leading zeros and shifts, and everything that is made of
 * the symbols, four bytes at a time, waits beside it.
 */
#include "quic_model.h"

struct reader {
    const uint8_t *words;
    size_t count, next; /* words; the next one to take: those behind the last are 0 */
    uint64_t bits;      /* the first one highest; 0 where no more are held */
    unsigned held;
};

/* Make that more than 32 bits are held. */
QUIC_INLINE void refill(struct reader *reader)
{
    if (reader->held <= 32) {
        const uint64_t word = reader->next < reader->count ? quic_word(reader->words + 4 * reader->next) : 0;
        reader->bits |= word << (32 - reader->held);
        reader->held += 32;
        reader->next++;
    }
}

/* Whether more was read than is there; a word that was begun is always followed by another. */
static int past_end(const struct reader *reader)
{
    return reader->next - reader->held / 32 + 1 > reader->count;
}

/* A symbol in some code; a whole code must be held. */
QUIC_INLINE unsigned get_symbol(const struct quic_family *family, struct reader *reader, unsigned code,
                                unsigned depth)
{
    const unsigned zeros = quic_zeros(reader->bits);
    unsigned symbol;

    if (QUIC_RARELY(zeros >= family->escape[code])) {
        const unsigned escape = family->escape[code], bits = family->escaped_bits[code];
        const uint64_t rest = reader->bits << escape;
        symbol = family->coded[code] + (unsigned)(rest >> 1 >> (63 - bits));
        reader->bits = rest << bits;
        reader->held -= escape + bits;
    } else {
        const uint64_t rest = reader->bits << (zeros + 1);
        symbol = zeros << code | (unsigned)(rest >> 1 >> (63 - code));
        reader->bits = rest << code;
        reader->held -= zeros + 1 + code;
    }
    return symbol & ((1u << depth) - 1);
}

/* The length of a run, or something more than the most that it can be. */
static size_t get_run(struct quic_part *part, struct reader *reader, size_t most)
{
    size_t length = 0;
    unsigned ones;

    do {
        refill(reader);
        ones = quic_zeros(~reader->bits);
        ones = ones < 32 ? ones : 32;
        for (unsigned one = 0; one < ones; one++) {
            length += (size_t)1 << spicemig_quic_run_steps[part->run_step];
            quic_step_up(part);
        }
        reader->bits <<= ones;
        reader->held -= ones;
    } while (ones == 32 && length <= most);
    refill(reader);
    const unsigned bits = spicemig_quic_run_steps[part->run_step] + 1u; /* and the zero in front */
    length += reader->bits >> (64 - bits);
    reader->bits <<= bits;
    reader->held -= bits;
    quic_step_down(part);
    return length;
}

QUIC_INLINE void put_pixel(uint8_t *row, size_t column, uint32_t pixel, unsigned components)
{
    if (components == 1)
        row[column] = (uint8_t)pixel;
    else
        quic_put_word(row + 4 * column, pixel);
}

/* The components that neighbours foretell, and symbols, as pixels; four bytes at once. */
QUIC_INLINE uint32_t unfolded(uint32_t foretold, uint32_t symbols, unsigned components, unsigned depth)
{
    const uint32_t lows = UINT32_C(0x7f7f7f7f), each = components == 1 ? 1 : UINT32_C(0x010101);
    const uint32_t difference = ((symbols >> 1) & lows) ^ ((symbols & UINT32_C(0x01010101)) * 255);
    const uint32_t sum = ((foretold & lows) + (difference & lows)) ^ ((foretold ^ difference) & ~lows);

    return sum & each * ((1u << depth) - 1);
}

/*
 * A row, which is in part->above afterwards; 0 if a run is longer than its row. The
 * symbols of all rows are in one buffer: those of a run are the last coded there.
 */
QUIC_INLINE int decode_part(const struct quic_family *family, struct quic_part *part, struct reader *shared,
                            size_t width, int first, unsigned components, unsigned depth)
{
    uint8_t *const row = part->row, *const symbols = part->symbols;
    const uint8_t *const above = part->above, *const same_above = part->same_above;
    struct reader reader = *shared;
    unsigned stage;

    for (size_t start = 0, end; start < width; start = end) {
        size_t column = start, run_began = width;
        end = quic_segment(part, start, width, &stage);
        while (column < end) {
            const size_t lesson = column + part->pause;
            const size_t stop = lesson < end ? lesson + 1 : end, from = column;
            uint32_t context = quic_pixel(symbols - quic_step(components), column, components);
            uint32_t left = column ? quic_pixel(row, column - 1, components) : 0;
            uint32_t before = column > 1 ? quic_pixel(row, column - 2, components) : ~left;

            for (; column < stop; column++) {
                const uint32_t up = first ? left : quic_pixel(above, column, components);
                uint32_t made;

                if (!first && same_above[column] && left == before && column >= QUIC_FIRST_RUN_COLUMN &&
                    column != run_began)
                    break;
                if (!first && column == 0)
                    left = up;
                refill(&reader);
                if (components == 1) {
                    made = get_symbol(family, &reader, part->best[0][context], depth);
                } else {
                    made = get_symbol(family, &reader, part->best[2][context >> 16 & 255], depth) << 16;
                    refill(&reader);
                    made |= get_symbol(family, &reader, part->best[1][context >> 8 & 255], depth) << 8;
                    refill(&reader);
                    made |= get_symbol(family, &reader, part->best[0][context & 255], depth);
                }
                put_pixel(symbols, column, made, components);
                context = made;
                const uint32_t mean = (left & up) + (((left ^ up) >> 1) & UINT32_C(0x7f7f7f7f));
                before = column ? left : ~left;
                left = unfolded(mean, made, components, depth);
                put_pixel(row, column, left, components);
            }
            part->pause -= (unsigned)(column - from);
            if (column < stop) {
                size_t length = get_run(part, &reader, end - column);
                if (length > end - column)
                    return 0;
                run_began = column;
                for (; length; length--, column++)
                    put_pixel(row, column, left, components);
            } else if (lesson < end) {
                quic_learn(family, part, symbols + lesson * quic_step(components), stage, components, depth);
                part->pause = quic_next_pause(part, stage);
            }
        }
    }
    quic_compare(part, width, components);
    memcpy(symbols - quic_step(components), symbols, quic_step(components));
    quic_next_row(part);
    *shared = reader;
    return 1;
}

static int decode_row(struct spicemig_quic *coder, struct reader *reader)
{
    const int first = coder->rows == 0;
    struct quic_part *parts = coder->parts;

    switch (coder->type) {
    case SPICEMIG_QUIC_GRAY:
        return decode_part(&coder->family, &parts[0], reader, coder->width, first, 1, 8);
    case SPICEMIG_QUIC_RGB16:
        return decode_part(&coder->family, &parts[0], reader, coder->width, first, 3, 5);
    default:
        return decode_part(&coder->family, &parts[0], reader, coder->width, first, 3, 8) &&
               (coder->type != SPICEMIG_QUIC_RGBA ||
                decode_part(&coder->family, &parts[1], reader, coder->width, first, 1, 8));
    }
}

/* A row of the image from pixels as the coder has them. */
static void put_together(const struct spicemig_quic *coder, uint8_t *restrict dst)
{
    const uint8_t *row = coder->parts[0].above, *alpha = coder->parts[1].above;
    const size_t width = coder->width;

    switch (coder->type) {
    case SPICEMIG_QUIC_GRAY:
        memcpy(dst, row, width);
        break;
    case SPICEMIG_QUIC_RGB16:
        for (size_t column = 0; column < width; column++) {
            const unsigned blue = row[4 * column], green = row[4 * column + 1], red = row[4 * column + 2];
            dst[2 * column] = (uint8_t)(green << 5 | blue);
            dst[2 * column + 1] = (uint8_t)(red << 2 | green >> 3);
        }
        break;
    case SPICEMIG_QUIC_RGB24:
        for (size_t column = 0; column < width; column++) {
            dst[3 * column] = row[4 * column];
            dst[3 * column + 1] = row[4 * column + 1];
            dst[3 * column + 2] = row[4 * column + 2];
        }
        break;
    case SPICEMIG_QUIC_RGBA:
        for (size_t column = 0; column < width; column++)
            quic_put_word(dst + 4 * column, quic_word(row + 4 * column) | (uint32_t)alpha[column] << 24);
        break;
    default:
        memcpy(dst, row, 4 * width);
    }
}

size_t spicemig_quic_decode(struct spicemig_quic *coder, uint8_t *dst, ptrdiff_t stride, size_t rows,
                            const uint8_t *words, size_t count)
{
    struct reader reader = {words, count, 0, 0, 0};

    for (size_t row = 0; row < rows; row++) {
        if (!decode_row(coder, &reader) || past_end(&reader))
            return row;
        put_together(coder, dst + (ptrdiff_t)row * stride);
        coder->rows++;
    }
    return rows;
}
