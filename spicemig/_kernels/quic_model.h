// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/quic_model.h: what both directions of QUIC share. The words
 * used here are explained in codecs/quic_reference.py.
 */
#ifndef SPICEMIG_QUIC_MODEL_H
#define SPICEMIG_QUIC_MODEL_H

#include <string.h>

#include "quic.h"

#if defined(__GNUC__)
#define QUIC_INLINE static inline __attribute__((always_inline))
#define QUIC_RARELY(condition) __builtin_expect(!!(condition), 0)
#else
#define QUIC_INLINE static inline
#define QUIC_RARELY(condition) (condition)
#endif

#define QUIC_LONGEST_CODE 26
#define QUIC_FIRST_RUN_COLUMN 3
#define QUIC_STAGE_PIXELS 2048
#define QUIC_LAST_STAGE 6
#define QUIC_RUN_STEPS 32

/* The pauses between lessons: bits of this sequence. */
extern const uint8_t spicemig_quic_chaos[256];

/* A bucket's counts are halved when the least of them is above this; by stage. */
extern const uint16_t spicemig_quic_halved_above[QUIC_LAST_STAGE + 1];

/* The logarithm of the run that one bit stands for. */
extern const uint8_t spicemig_quic_run_steps[QUIC_RUN_STEPS];

/* The Golomb-Rice codes for symbols of five or eight bits. */
struct quic_family {
    uint16_t codes[8][256];  /* by code and symbol: the number of bits << 8 | those behind leading zeros */
    uint8_t weights[256][8]; /* by symbol and code: eight times the number of bits */
    uint8_t escape[8];       /* by code: so many zeros say that the symbol follows as it is, */
    uint8_t coded[8];        /* less this, */
    uint8_t escaped_bits[8]; /* in so many bits */
};

struct quic_part {
    unsigned stage, stage_left; /* how far the image has come */
    unsigned pause, pauses;     /* pixels until the next lesson; how many lessons there were */
    unsigned run_step;
    uint8_t best[3][256];       /* by component and context: the code to use */
    uint8_t chosen[3][8];       /* the same by bucket */
    uint32_t counts[3][8][8];   /* by component, bucket and code: eight times the bits | 7 - code */

    /* Of this row and the one above; in colours every pixel has four bytes, blue first. */
    uint8_t *row, *above;
    uint8_t *symbols;                 /* those last coded in a column; in front the context of the first */
    uint8_t *fresh;                   /* those of this row as they are made, in the same way */
    uint8_t *same, *same_above;       /* by column, whether the pixel equals the one to the left */
    uint8_t *runs;                    /* by column, whether a run begins if the pixel is reached */
};

struct spicemig_quic {
    struct quic_family family;
    struct quic_part parts[2];
    unsigned type;
    size_t width;
    size_t rows; /* coded so far */
    uint64_t bits; /* not written yet, the first one highest, */
    unsigned held; /* fewer than 32 of them */
};

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define QUIC_LITTLE 1
#else
#define QUIC_LITTLE 0
#endif

/* Little-endian words; compilers see through memcpy sooner than through shifts. */
QUIC_INLINE uint32_t quic_word(const uint8_t *at)
{
    uint32_t word;

    if (!QUIC_LITTLE)
        return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    memcpy(&word, at, 4);
    return word;
}

QUIC_INLINE void quic_put_word(uint8_t *at, uint32_t word)
{
    if (QUIC_LITTLE) {
        memcpy(at, &word, 4);
        return;
    }
    at[0] = (uint8_t)word;
    at[1] = (uint8_t)(word >> 8);
    at[2] = (uint8_t)(word >> 16);
    at[3] = (uint8_t)(word >> 24);
}

QUIC_INLINE unsigned quic_zeros(uint64_t value)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_clzll(value | 1);
#else
    unsigned zeros = 0;
    for (; zeros < 63 && !(value >> 63); value <<= 1)
        zeros++;
    return zeros;
#endif
}

/* A pixel in a row: of colours four bytes, else one. */
QUIC_INLINE size_t quic_step(unsigned components)
{
    return components == 1 ? 1 : 4;
}

QUIC_INLINE uint32_t quic_pixel(const uint8_t *row, size_t column, unsigned components)
{
    return components == 1 ? row[column] : quic_word(row + 4 * column);
}

QUIC_INLINE unsigned quic_bucket(unsigned context, unsigned depth)
{
    const unsigned bucket = 63 - quic_zeros(context + 1);

    return bucket < depth ? bucket : depth - 1;
}

/* One lesson of a bucket. */
QUIC_INLINE void quic_learn_one(const struct quic_family *family, struct quic_part *part, unsigned component,
                                unsigned context, unsigned symbol, unsigned stage, unsigned depth)
{
    const unsigned bucket = quic_bucket(context, depth);
    const uint8_t *weights = family->weights[symbol];
    uint32_t *counts = part->counts[component][bucket];
    uint32_t least = UINT32_MAX;

    for (unsigned code = 0; code < depth; code++) {
        counts[code] += weights[code];
        least = counts[code] < least ? counts[code] : least;
    }
    const unsigned best = 7 - (least & 7);
    if (least >> 3 > spicemig_quic_halved_above[stage])
        for (unsigned code = 0; code < depth; code++)
            counts[code] = (counts[code] >> 4 << 3) | (7 - code);
    if (best != part->chosen[component][bucket]) {
        const size_t first = ((size_t)1 << bucket) - 1;
        part->chosen[component][bucket] = (uint8_t)best;
        const size_t contexts = bucket == depth - 1 ? ((size_t)1 << depth) - first : first + 1;
        memset(part->best[component] + first, (int)best, contexts);
    }
}

/* A lesson of all buckets that a pixel used; the context is in front of its symbols. */
QUIC_INLINE void quic_learn(const struct quic_family *family, struct quic_part *part, const uint8_t *symbols,
                            unsigned stage, unsigned components, unsigned depth)
{
    for (unsigned component = 0; component < components; component++)
        quic_learn_one(family, part, component, (symbols - quic_step(components))[component], symbols[component],
                       stage, depth);
}

QUIC_INLINE unsigned quic_next_pause(struct quic_part *part, unsigned stage)
{
    return spicemig_quic_chaos[part->pauses++ & 255] & ((1u << stage) - 1);
}

/* How far the stage lasts in a row that is coded up to a column; afterwards it is a later one. */
QUIC_INLINE size_t quic_segment(struct quic_part *part, size_t start, size_t width, unsigned *stage)
{
    while (part->stage < QUIC_LAST_STAGE && part->stage_left == 0) {
        part->stage++;
        part->stage_left = QUIC_STAGE_PIXELS;
    }
    *stage = part->stage;
    if (part->stage == QUIC_LAST_STAGE)
        return width;
    const size_t length = part->stage_left < width - start ? part->stage_left : width - start;
    part->stage_left -= (unsigned)length;
    return start + length;
}

QUIC_INLINE void quic_step_up(struct quic_part *part)
{
    part->run_step += part->run_step < QUIC_RUN_STEPS - 1;
}

QUIC_INLINE void quic_step_down(struct quic_part *part)
{
    part->run_step -= part->run_step > 0;
}

/* Behind a row: it is the one above now. */
static inline void quic_next_row(struct quic_part *part)
{
    uint8_t *row = part->row, *same = part->same;

    part->row = part->above;
    part->above = row;
    part->same = part->same_above;
    part->same_above = same;
}

/* Note which pixels equal their left neighbour. */
QUIC_INLINE void quic_compare(struct quic_part *part, size_t width, unsigned components)
{
    uint8_t *restrict same = part->same;
    const uint8_t *row = part->row;

    same[0] = 0;
    for (size_t column = 1; column < width; column++)
        same[column] = quic_pixel(row, column, components) == quic_pixel(row, column - 1, components);
}

#endif
