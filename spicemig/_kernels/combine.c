// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/combine.c: operators that are calculated with bytes. */
#include "combine.h"

#include "pixels.h"

#define MOST (255 * 255)

/* What becomes of pixels: s is the source and m the alphas of its parts, d what is there and a its alphas. */
typedef spicemig_pixels covering(spicemig_pixels s, spicemig_pixels m, spicemig_pixels d, spicemig_pixels a);

static inline void cover(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict mask,
                         int by_parts, covering *result)
{
    const spicemig_pixels whole = spicemig_pixels_load(src), d = spicemig_pixels_load(dst);
    spicemig_pixels s = whole, m;

    if (mask == NULL) {
        m = spicemig_alphas(s);
    } else if (by_parts) {
        const spicemig_pixels parts = spicemig_pixels_load(mask);
        s = spicemig_times(whole, parts);
        m = spicemig_times(parts, spicemig_alphas(whole));
    } else {
        s = spicemig_times(whole, spicemig_alphas(spicemig_pixels_load(mask)));
        m = spicemig_alphas(s);
    }
    spicemig_pixels_store(dst, result(s, m, d, spicemig_alphas(d)));
}

static inline void cover_all(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict mask,
                             int by_parts, size_t count, covering *result)
{
    size_t done = 0;

    for (; done + SPICEMIG_TOGETHER <= count; done += SPICEMIG_TOGETHER)
        cover(dst + 4 * done, src + 4 * done, mask == NULL ? NULL : mask + 4 * done, by_parts, result);
    if (done == count)
        return;
    uint8_t last_dst[4 * SPICEMIG_TOGETHER] = {0}, last_src[4 * SPICEMIG_TOGETHER] = {0};
    uint8_t last_mask[4 * SPICEMIG_TOGETHER] = {0};
    memcpy(last_dst, dst + 4 * done, 4 * (count - done));
    memcpy(last_src, src + 4 * done, 4 * (count - done));
    if (mask != NULL)
        memcpy(last_mask, mask + 4 * done, 4 * (count - done));
    cover(last_dst, last_src, mask == NULL ? NULL : last_mask, by_parts, result);
    memcpy(dst + 4 * done, last_dst, 4 * (count - done));
}

/* Each of the three ways is compiled for itself. */
#define COVERING(name, what)                                                                            \
    static inline spicemig_pixels name##_of(spicemig_pixels s, spicemig_pixels m, spicemig_pixels d,    \
                                            spicemig_pixels a)                                          \
    {                                                                                                   \
        (void)s, (void)m, (void)d, (void)a;                                                             \
        return what;                                                                                    \
    }                                                                                                   \
    static void name(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict mask,  \
                     int by_parts, size_t count)                                                        \
    {                                                                                                   \
        if (mask == NULL)                                                                               \
            cover_all(dst, src, NULL, 0, count, name##_of);                                             \
        else if (by_parts)                                                                              \
            cover_all(dst, src, mask, 1, count, name##_of);                                             \
        else                                                                                            \
            cover_all(dst, src, mask, 0, count, name##_of);                                             \
    }

#define plus spicemig_plus
#define times spicemig_times
#define rest spicemig_rest

COVERING(clear, spicemig_none())
COVERING(source, s)
COVERING(over, plus(times(d, rest(m)), s))
COVERING(over_reverse, plus(times(s, rest(a)), d))
COVERING(in, times(s, a))
COVERING(in_reverse, times(d, m))
COVERING(out, times(s, rest(a)))
COVERING(out_reverse, times(d, rest(m)))
COVERING(atop, plus(times(d, rest(m)), times(s, a)))
COVERING(atop_reverse, plus(times(d, m), times(s, rest(a))))
COVERING(exclusive, plus(times(d, rest(m)), times(s, rest(a))))
COVERING(add, plus(s, d))
COVERING(multiply, plus(plus(times(d, rest(m)), times(s, rest(a))), times(d, s)))

#undef plus
#undef times
#undef rest

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

static inline uint8_t rounded(uint32_t sum)
{
    const uint32_t more = (sum > MOST ? MOST : sum) + 128;
    return (uint8_t)((more + (more >> 8)) >> 8);
}

static inline int32_t product(int32_t one, int32_t other)
{
    const int32_t more = one * other + 128;
    return (more + (more >> 8)) >> 8;
}

static inline void blend(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict mask,
                         int by_parts, size_t count, blend_mode *mode)
{
    for (size_t at = 0; at < 4 * count; at += 4) {
        const int32_t da = dst[at + 3], whole = src[at + 3];
        const int32_t unified = mask == NULL ? 255 : mask[at + 3];
        const int32_t alpha = product(whole, unified);
        for (size_t part = at; part < at + 3; part++) {
            const int32_t covered = by_parts && mask != NULL ? mask[part] : unified;
            const int32_t s = product(src[part], covered), sa = product(whole, covered), d = dst[part];
            dst[part] = rounded((uint32_t)((255 - sa) * d + (255 - da) * s) + mode(s, sa, d, da));
        }
        dst[at + 3] = rounded((uint32_t)((da + alpha) * 255 - alpha * da));
    }
}

#define BLEND(mode)                                                                                     \
    static void mode##_blended(uint8_t *restrict dst, const uint8_t *restrict src,                      \
                               const uint8_t *restrict mask, int by_parts, size_t count)                \
    {                                                                                                   \
        blend(dst, src, mask, by_parts, count, mode);                                                   \
    }

BLEND(screen)
BLEND(overlay)
BLEND(darken)
BLEND(lighten)
BLEND(hard_light)
BLEND(difference)
BLEND(exclusion)

#define BYTES(name) {name, NULL, NULL}

static const struct spicemig_operator operators[SPICEMIG_OPERATORS] = {
    [0x00] = BYTES(clear),
    [0x01] = BYTES(source),
    [0x03] = BYTES(over),
    [0x04] = BYTES(over_reverse),
    [0x05] = BYTES(in),
    [0x06] = BYTES(in_reverse),
    [0x07] = BYTES(out),
    [0x08] = BYTES(out_reverse),
    [0x09] = BYTES(atop),
    [0x0a] = BYTES(atop_reverse),
    [0x0b] = BYTES(exclusive),
    [0x0c] = BYTES(add),
    [0x30] = BYTES(multiply),
    [0x31] = BYTES(screen_blended),
    [0x32] = BYTES(overlay_blended),
    [0x33] = BYTES(darken_blended),
    [0x34] = BYTES(lighten_blended),
    [0x37] = BYTES(hard_light_blended),
    [0x39] = BYTES(difference_blended),
    [0x3a] = BYTES(exclusion_blended),
};

struct spicemig_operator spicemig_operator_of(unsigned number)
{
    static const struct spicemig_operator none;

    if (number >= SPICEMIG_OPERATORS)
        return none;
    return operators[number].combine != NULL ? operators[number] : spicemig_operator_of_fractions(number);
}
