// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/quic_model.c: see quic_model.h. */
#include "quic_model.h"

const uint8_t spicemig_quic_chaos[256] = {
     2, 23, 19, 21,  7, 18, 40, 14, 12, 32, 47, 44, 36,  6, 18, 11,
     4, 19, 42, 29, 16, 63, 57, 51, 16,  3,  5, 14, 15, 30, 20,  9,
    36, 45,  3, 57, 61,  0,  8,  5, 41, 14, 43, 27, 43, 59, 31, 35,
    39, 60, 42, 38, 13, 54, 62,  1, 26,  3, 11, 61, 52, 34,  7, 48,
     4, 59, 22, 12, 22,  8, 50,  4, 10,  6, 44,  8, 11, 46, 31, 51,
    53, 17,  1, 43, 46, 60, 36, 54, 10, 27, 39, 44, 22, 41, 23,  2,
    44,  0, 40, 53, 40, 48, 16, 43, 32, 28, 33, 12, 20,  2, 56, 62,
    55, 58, 18, 20, 13, 55, 38, 29, 57, 19, 49, 33, 47, 63, 59,  0,
    35, 61, 19, 25, 46, 38, 60,  4, 35,  1, 26, 40, 28, 10,  5, 14,
    25, 18, 48, 49, 20, 59, 62, 34, 46,  7, 33, 52, 34, 58,  9, 29,
     8, 55, 62, 60, 37, 36, 37, 50,  6,  3, 10, 28, 48, 24, 26, 61,
    57, 30, 11, 54,  2,  6, 50, 47,  7, 17, 35, 53, 32, 12, 23, 17,
     5, 21, 49, 55, 51, 45, 52, 27, 39, 25, 39, 63, 22, 24, 42, 52,
    56, 38, 41, 41, 56, 32, 13, 24, 26, 51, 27, 56, 58, 37, 24, 42,
    15, 28, 17, 30, 31, 15, 16, 23, 25, 54, 33, 34,  1, 29, 31, 50,
    53, 21, 49, 15, 47,  9,  0, 58, 37, 45, 30, 13,  9, 45, 63, 21,
};

const uint16_t spicemig_quic_halved_above[QUIC_LAST_STAGE + 1] = {110, 550, 900, 800, 550, 400, 350};

const uint8_t spicemig_quic_run_steps[QUIC_RUN_STEPS] = {
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
};

/* Loops go on up to 64 bytes behind the last pixel, and begin a pixel in front of the first. */
#define SPARE_BYTES 160

static size_t line_bytes(size_t width)
{
    return (4 * width + SPARE_BYTES + 15) / 16 * 16;
}

size_t spicemig_quic_pixel_bytes(unsigned type)
{
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 4};

    return type < sizeof bytes ? bytes[type] : 0;
}

size_t spicemig_quic_bytes(size_t width)
{
    return sizeof(struct spicemig_quic) + 2 * 7 * line_bytes(width);
}

static void make_family(struct quic_family *family, unsigned depth)
{
    const unsigned symbols = 1u << depth;

    for (unsigned code = 0; code < depth; code++) {
        const unsigned most = (1u << (depth - code)) - 1;
        const unsigned escape = QUIC_LONGEST_CODE - depth < most ? QUIC_LONGEST_CODE - depth : most;
        const unsigned coded = escape << code;
        unsigned bits = 0;

        while ((symbols - 1 - coded) >> bits)
            bits++;
        family->escape[code] = (uint8_t)escape;
        family->coded[code] = (uint8_t)coded;
        family->escaped_bits[code] = (uint8_t)bits;
        for (unsigned symbol = 0; symbol < symbols; symbol++) {
            const unsigned length = symbol < coded ? (symbol >> code) + 1 + code : escape + bits;
            const unsigned low = symbol & ((1u << code) - 1);
            const unsigned tail = symbol < coded ? 1u << code | low : symbol - coded;
            family->codes[code][symbol] = (uint16_t)(length << 8 | tail);
            family->weights[symbol][code] = (uint8_t)(length << 3);
        }
    }
}

void spicemig_quic_begin(struct spicemig_quic *coder, unsigned type, size_t width)
{
    const unsigned depth = type == SPICEMIG_QUIC_RGB16 ? 5 : 8;
    const size_t line = line_bytes(width);
    uint8_t *next = (uint8_t *)coder + sizeof *coder;

    memset(coder, 0, sizeof *coder);
    coder->type = type;
    coder->width = width;
    make_family(&coder->family, depth);
    for (struct quic_part *part = coder->parts; part < coder->parts + 2; part++) {
        uint8_t **const lines[] = {&part->row, &part->above, &part->symbols, &part->fresh,
                                   &part->same, &part->same_above, &part->runs};
        for (size_t index = 0; index < sizeof lines / sizeof lines[0]; index++, next += line)
            *lines[index] = next + SPARE_BYTES / 4;
        memset(part->symbols - 4, 0, 4);
        memset(part->best, (int)depth - 1, sizeof part->best);
        memset(part->chosen, (int)depth - 1, sizeof part->chosen);
        for (unsigned index = 0; index < 3 * 8 * 8; index++)
            (&part->counts[0][0][0])[index] = 7 - index % 8;
        part->stage_left = QUIC_STAGE_PIXELS;
    }
}
