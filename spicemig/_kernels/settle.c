// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/settle.c: 32-bit pixels become what a surface of fewer bits keeps of them. */
#include "settle.h"

#include "wide.h"

/* Pixels as numbers, blue lowest, whatever order the host has. */
static inline uint32_t number_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void put_number(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
}

static inline uint32_t of_555(uint32_t value)
{
    return (value & 0xf8f8f8) | ((value >> 5) & 0x070707);
}

static inline uint32_t of_565(uint32_t value)
{
    return (value & 0xf8fcf8) | ((value >> 5) & 0x070007) | ((value >> 6) & 0x000300);
}

static inline uint32_t of_one(uint32_t value)
{
    return (value >> 31) * 0xff000000u;
}

#define SETTLE_CASE(format, expression)                                                                \
    case format:                                                                                       \
        for (size_t row = 0; row < rows; row++) {                                                      \
            uint8_t *line = dst + (ptrdiff_t)row * stride;                                             \
            for (size_t col = 0; col < cols; col++) {                                                  \
                const uint32_t value = number_at(line + 4 * col);                                      \
                put_number(line + 4 * col, expression);                                                \
            }                                                                                          \
        }                                                                                              \
        break;

SPICEMIG_WIDE
void spicemig_settle_rect(uint8_t *dst, ptrdiff_t stride, size_t rows, size_t cols, unsigned format)
{
    switch (format) {
        SETTLE_CASE(SPICEMIG_SURFACE_16_555, of_555(value))
        SETTLE_CASE(SPICEMIG_SURFACE_16_565, of_565(value))
        SETTLE_CASE(SPICEMIG_SURFACE_8_A, value & 0xff000000u)
        SETTLE_CASE(SPICEMIG_SURFACE_1_A, of_one(value))
    default:
        break;
    }
}
