// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/combine.c: operators that are calculated with bytes. */
#include "combine.h"

#define PAIR UINT32_C(0x00ff00ff)  /* two bytes of a pixel with room above each */
#define HALVES UINT32_C(0x00800080)
#define MOST (255u * 255u)

/* What 255 stands for 1 in: the product of two bytes, rounded. */
static inline uint32_t times(uint32_t pixel, uint32_t part)
{
    const uint32_t low = (pixel & PAIR) * part + HALVES, high = (pixel >> 8 & PAIR) * part + HALVES;

    return ((low + (low >> 8 & PAIR)) >> 8 & PAIR) | ((high + (high >> 8 & PAIR)) & ~PAIR);
}

static inline uint32_t byte_times(uint32_t one, uint32_t other, unsigned shift)
{
    const uint32_t product = (one >> shift & 255) * (other >> shift & 255) + 128;

    return (product + (product >> 8)) >> 8 << shift;
}

/* Byte by byte. */
static inline uint32_t times_each(uint32_t one, uint32_t other)
{
    return byte_times(one, other, 0) | byte_times(one, other, 8) | byte_times(one, other, 16) |
           byte_times(one, other, 24);
}

/* No byte goes beyond 255. */
static inline uint32_t plus(uint32_t one, uint32_t other)
{
    uint32_t low = (one & PAIR) + (other & PAIR), high = (one >> 8 & PAIR) + (other >> 8 & PAIR);

    low |= UINT32_C(0x01000100) - (low >> 8 & PAIR);
    high |= UINT32_C(0x01000100) - (high >> 8 & PAIR);
    return (low & PAIR) | (high & PAIR) << 8;
}

static inline uint32_t alpha(uint32_t pixel)
{
    return pixel >> 24;
}

/* In these, s is the source and d what is there. */
#define UNIFIED(name, result)                                                                  \
    static void name(uint32_t *restrict dst, const uint32_t *restrict src, size_t count)       \
    {                                                                                          \
        for (size_t index = 0; index < count; index++) {                                       \
            const uint32_t s = src[index], d = dst[index];                                     \
            (void)s, (void)d;                                                                  \
            dst[index] = (result);                                                             \
        }                                                                                      \
    }

UNIFIED(clear, 0)
UNIFIED(source, s)
UNIFIED(over, plus(times(d, alpha(~s)), s))
UNIFIED(over_reverse, plus(times(s, alpha(~d)), d))
UNIFIED(in, times(s, alpha(d)))
UNIFIED(in_reverse, times(d, alpha(s)))
UNIFIED(out, times(s, alpha(~d)))
UNIFIED(out_reverse, times(d, alpha(~s)))
UNIFIED(atop, plus(times(s, alpha(d)), times(d, alpha(~s))))
UNIFIED(atop_reverse, plus(times(s, alpha(~d)), times(d, alpha(s))))
UNIFIED(exclusive, plus(times(s, alpha(~d)), times(d, alpha(~s))))
UNIFIED(add, plus(s, d))
UNIFIED(multiply, plus(times_each(d, s), plus(times(s, alpha(~d)), times(d, alpha(~s)))))

/* In these, s is the source with the mask in it, and m the alpha of each of its parts. */
#define BY_PARTS(name, result)                                                                 \
    static void name##_parts(uint32_t *restrict dst, const uint32_t *restrict src,             \
                             const uint32_t *restrict mask, size_t count)                      \
    {                                                                                          \
        for (size_t index = 0; index < count; index++) {                                       \
            const uint32_t s = times_each(src[index], mask[index]), d = dst[index];            \
            const uint32_t m = times(mask[index], alpha(src[index]));                          \
            (void)s, (void)d, (void)m;                                                         \
            dst[index] = (result);                                                             \
        }                                                                                      \
    }

BY_PARTS(clear, 0)
BY_PARTS(source, s)
BY_PARTS(over, plus(times_each(d, ~m), s))
BY_PARTS(over_reverse, plus(times(s, alpha(~d)), d))
BY_PARTS(in, times(s, alpha(d)))
BY_PARTS(in_reverse, times_each(d, m))
BY_PARTS(out, times(s, alpha(~d)))
BY_PARTS(out_reverse, times_each(d, ~m))
BY_PARTS(atop, plus(times_each(d, ~m), times(s, alpha(d))))
BY_PARTS(atop_reverse, plus(times_each(d, m), times(s, alpha(~d))))
BY_PARTS(exclusive, plus(times_each(d, ~m), times(s, alpha(~d))))
BY_PARTS(add, plus(s, d))
BY_PARTS(multiply, plus(plus(times_each(d, ~m), times(s, alpha(~d))), times_each(d, s)))

/*
 * Blend modes: what two colours give where both cover a pixel, times both alphas
 * (sa, da). Parts may be larger than their alpha, so that a sum may wrap round
 * below 0; like any that is too large it becomes the most, as in pixman.
 */
typedef uint32_t blend_mode(int32_t s, int32_t sa, int32_t d, int32_t da);

static inline uint32_t screen(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(s * da + d * sa - s * d);
}

static inline uint32_t hard_light(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(2 * s < sa ? 2 * s * d : sa * da - 2 * (da - d) * (sa - s));
}

static inline uint32_t overlay(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(2 * d < da ? 2 * s * d : sa * da - 2 * (da - d) * (sa - s));
}

static inline uint32_t darken(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(s * da > d * sa ? d * sa : s * da);
}

static inline uint32_t lighten(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(s * da > d * sa ? s * da : d * sa);
}

static inline uint32_t difference(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(s * da < d * sa ? d * sa - s * da : s * da - d * sa);
}

static inline uint32_t exclusion(int32_t s, int32_t sa, int32_t d, int32_t da)
{
    return (uint32_t)(s * da + d * sa - 2 * d * s);
}

static inline uint32_t rounded(uint32_t sum)
{
    const uint32_t more = (sum > MOST ? MOST : sum) + 128;
    return (more + (more >> 8)) >> 8;
}

static inline uint32_t blended_part(blend_mode *mode, uint32_t s, uint32_t m, uint32_t d, unsigned shift)
{
    const uint32_t s_part = s >> shift & 255, d_part = d >> shift & 255, sa = m >> shift & 255;
    const uint32_t sum = (255 - sa) * d_part + (255 - alpha(d)) * s_part +
                         mode((int32_t)s_part, (int32_t)sa, (int32_t)d_part, (int32_t)alpha(d));
    return rounded(sum) << shift;
}

static inline uint32_t blended(blend_mode *mode, uint32_t s, uint32_t m, uint32_t d)
{
    const uint32_t sum = (alpha(d) + alpha(s)) * 255 - alpha(s) * alpha(d);

    return rounded(sum) << 24 | blended_part(mode, s, m, d, 16) | blended_part(mode, s, m, d, 8) |
           blended_part(mode, s, m, d, 0);
}

#define BLEND(mode)                                                       \
    UNIFIED(mode##_blended, blended(mode, s, alpha(s) * 0x01010101u, d))  \
    BY_PARTS(mode##_blended, blended(mode, s, m, d))

BLEND(screen)
BLEND(overlay)
BLEND(darken)
BLEND(lighten)
BLEND(hard_light)
BLEND(difference)
BLEND(exclusion)

#define BOTH(name) {name, name##_parts, NULL, NULL}

static const struct spicemig_operator operators[SPICEMIG_OPERATORS] = {
    [0x00] = BOTH(clear),
    [0x01] = BOTH(source),
    [0x03] = BOTH(over),
    [0x04] = BOTH(over_reverse),
    [0x05] = BOTH(in),
    [0x06] = BOTH(in_reverse),
    [0x07] = BOTH(out),
    [0x08] = BOTH(out_reverse),
    [0x09] = BOTH(atop),
    [0x0a] = BOTH(atop_reverse),
    [0x0b] = BOTH(exclusive),
    [0x0c] = BOTH(add),
    [0x30] = BOTH(multiply),
    [0x31] = BOTH(screen_blended),
    [0x32] = BOTH(overlay_blended),
    [0x33] = BOTH(darken_blended),
    [0x34] = BOTH(lighten_blended),
    [0x37] = BOTH(hard_light_blended),
    [0x39] = BOTH(difference_blended),
    [0x3a] = BOTH(exclusion_blended),
};

struct spicemig_operator spicemig_operator_of(unsigned number)
{
    static const struct spicemig_operator none;

    if (number >= SPICEMIG_OPERATORS)
        return none;
    return operators[number].combine != NULL ? operators[number] : spicemig_operator_of_fractions(number);
}

void spicemig_mask(uint32_t *restrict src, const uint32_t *restrict mask, size_t count)
{
    for (size_t index = 0; index < count; index++)
        src[index] = times(src[index], alpha(mask[index]));
}
