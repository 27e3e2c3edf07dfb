// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/combine_fractions.c: operators that divide; calculated in single precision. */
#include "combine.h"

#include <float.h>
#include <math.h>

static inline int is_zero(float value)
{
    return -FLT_MIN < value && value < FLT_MIN;
}

static inline float limited(float value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* How much of one picture is left beside the other, which has that alpha. */
enum factor {
    NOTHING,
    EVERYTHING,
    OTHER_OVER_OWN,           /* other / own */
    REST_OVER_OWN,            /* (1 - other) / own */
    LACK_OF_OTHER_OVER_OWN,   /* 1 - other / own */
    LACK_OF_REST_OVER_OWN,    /* 1 - (1 - other) / own */
};

static inline float factor_of(enum factor factor, float own, float other)
{
    switch (factor) {
    case NOTHING:
        return 0;
    case EVERYTHING:
        return 1;
    case OTHER_OVER_OWN:
        return is_zero(own) ? 1 : limited(other / own);
    case REST_OVER_OWN:
        return is_zero(own) ? 1 : limited((1 - other) / own);
    case LACK_OF_OTHER_OVER_OWN:
        return is_zero(own) ? 0 : limited(1 - other / own);
    case LACK_OF_REST_OVER_OWN:
        return is_zero(own) ? 0 : limited(1 - (1 - other) / own);
    }
    return 0;
}

/* What one part (s with alpha sa, d with alpha da) becomes; the alpha itself is a part too. */
typedef float combine_part(float sa, float s, float da, float d);

static inline void combine(struct spicemig_colour *restrict dst, const struct spicemig_colour *restrict src,
                           const struct spicemig_colour *restrict mask, size_t count, int by_parts,
                           combine_part *of_alpha, combine_part *of_colour)
{
    static const struct spicemig_colour whole = {1, 1, 1, 1};

    for (size_t index = 0; index < count; index++) {
        const struct spicemig_colour s = src[index], d = dst[index];
        struct spicemig_colour m = mask == NULL ? whole : mask[index];
        if (!by_parts)
            m.red = m.green = m.blue = m.alpha;
        dst[index].alpha = of_alpha(m.alpha * s.alpha, s.alpha * m.alpha, d.alpha, d.alpha);
        dst[index].red = of_colour(m.red * s.alpha, s.red * m.red, d.alpha, d.red);
        dst[index].green = of_colour(m.green * s.alpha, s.green * m.green, d.alpha, d.green);
        dst[index].blue = of_colour(m.blue * s.alpha, s.blue * m.blue, d.alpha, d.blue);
    }
}

#define COMBINE(name, of_alpha, of_colour)                                                                   \
    static void name(struct spicemig_colour *restrict dst, const struct spicemig_colour *restrict src,       \
                     const struct spicemig_colour *restrict mask, size_t count)                              \
    {                                                                                                        \
        combine(dst, src, mask, count, 0, of_alpha, of_colour);                                              \
    }                                                                                                        \
    static void name##_parts(struct spicemig_colour *restrict dst, const struct spicemig_colour *restrict src, \
                             const struct spicemig_colour *restrict mask, size_t count)                      \
    {                                                                                                        \
        combine(dst, src, mask, count, 1, of_alpha, of_colour);                                              \
    }

/* Both factors are told from the point of view of what they multiply. */
#define COVERAGE(name, of_source, of_destination)                                       \
    static inline float name##_part(float sa, float s, float da, float d)               \
    {                                                                                   \
        const float sum = s * factor_of(of_source, sa, da) + d * factor_of(of_destination, da, sa); \
        return sum > 1 ? 1 : sum;                                                       \
    }                                                                                   \
    COMBINE(name, name##_part, name##_part)

COVERAGE(saturate, REST_OVER_OWN, EVERYTHING)
COVERAGE(disjoint_over, EVERYTHING, REST_OVER_OWN)
COVERAGE(disjoint_over_reverse, REST_OVER_OWN, EVERYTHING)
COVERAGE(disjoint_in, LACK_OF_REST_OVER_OWN, NOTHING)
COVERAGE(disjoint_in_reverse, NOTHING, LACK_OF_REST_OVER_OWN)
COVERAGE(disjoint_out, REST_OVER_OWN, NOTHING)
COVERAGE(disjoint_out_reverse, NOTHING, REST_OVER_OWN)
COVERAGE(disjoint_atop, LACK_OF_REST_OVER_OWN, REST_OVER_OWN)
COVERAGE(disjoint_atop_reverse, REST_OVER_OWN, LACK_OF_REST_OVER_OWN)
COVERAGE(disjoint_exclusive, REST_OVER_OWN, REST_OVER_OWN)
COVERAGE(conjoint_over, EVERYTHING, LACK_OF_OTHER_OVER_OWN)
COVERAGE(conjoint_over_reverse, LACK_OF_OTHER_OVER_OWN, EVERYTHING)
COVERAGE(conjoint_in, OTHER_OVER_OWN, NOTHING)
COVERAGE(conjoint_in_reverse, NOTHING, OTHER_OVER_OWN)
COVERAGE(conjoint_out, LACK_OF_OTHER_OVER_OWN, NOTHING)
COVERAGE(conjoint_out_reverse, NOTHING, LACK_OF_OTHER_OVER_OWN)
COVERAGE(conjoint_atop, OTHER_OVER_OWN, LACK_OF_OTHER_OVER_OWN)
COVERAGE(conjoint_atop_reverse, LACK_OF_OTHER_OVER_OWN, OTHER_OVER_OWN)
COVERAGE(conjoint_exclusive, LACK_OF_OTHER_OVER_OWN, LACK_OF_OTHER_OVER_OWN)

/* Blend modes: where only one of the pictures is, it is what it was. */
static inline float union_alpha(float sa, float s, float da, float d)
{
    (void)s, (void)d;
    return da + sa - da * sa;
}

static inline float dodged(float sa, float s, float da, float d)
{
    if (is_zero(d))
        return 0;
    if (d * sa >= sa * da - s * da || is_zero(sa - s))
        return sa * da;
    return sa * sa * d / (sa - s);
}

static inline float burnt(float sa, float s, float da, float d)
{
    if (d >= da)
        return sa * da;
    if (sa * (da - d) >= s * da || is_zero(s))
        return 0;
    return sa * (da - sa * (da - d) / s);
}

static inline float softly_lit(float sa, float s, float da, float d)
{
    if (is_zero(da))
        return d * sa;
    if (2 * s <= sa)
        return d * sa - d * (da - d) * (sa - 2 * s) / da;
    if (4 * d <= da)
        return d * sa + (2 * s - sa) * d * ((16 * d / da - 12) * d / da + 3);
    return d * sa + (sqrtf(d * da) - d) * (2 * s - sa);
}

#define BLEND(name, mode)                                                 \
    static inline float name##_part(float sa, float s, float da, float d) \
    {                                                                     \
        return (1 - sa) * d + (1 - da) * s + mode(sa, s, da, d);          \
    }                                                                     \
    COMBINE(name, union_alpha, name##_part)

BLEND(color_dodge, dodged)
BLEND(color_burn, burnt)
BLEND(soft_light, softly_lit)

/* Hue, saturation and lightness: the three parts together. */
struct rgb {
    float red, green, blue;
};

static inline float smallest(struct rgb c)
{
    const float two = c.red < c.green ? c.red : c.green;
    return two < c.blue ? two : c.blue;
}

static inline float largest(struct rgb c)
{
    const float two = c.red > c.green ? c.red : c.green;
    return two > c.blue ? two : c.blue;
}

static inline float lightness(struct rgb c)
{
    return c.red * 0.3f + c.green * 0.59f + c.blue * 0.11f;
}

static inline float saturation(struct rgb c)
{
    return largest(c) - smallest(c);
}

static inline struct rgb scaled_by(struct rgb c, float factor)
{
    const struct rgb result = {c.red * factor, c.green * factor, c.blue * factor};
    return result;
}

/* Towards grey until no part is below 0 or above the alpha. */
static inline struct rgb brought_inside(struct rgb c, float alpha)
{
    const float l = lightness(c), low = smallest(c), high = largest(c);

    if (low < 0) {
        const float span = l - low;
        if (is_zero(span)) {
            c.red = c.green = c.blue = 0;
        } else {
            c.red = l + (c.red - l) * l / span;
            c.green = l + (c.green - l) * l / span;
            c.blue = l + (c.blue - l) * l / span;
        }
    }
    if (high > alpha) {
        const float span = high - l;
        if (is_zero(span)) {
            c.red = c.green = c.blue = alpha;
        } else {
            c.red = l + (c.red - l) * (alpha - l) / span;
            c.green = l + (c.green - l) * (alpha - l) / span;
            c.blue = l + (c.blue - l) * (alpha - l) / span;
        }
    }
    return c;
}

static inline struct rgb with_lightness(struct rgb c, float alpha, float wanted)
{
    const float more = wanted - lightness(c);

    c.red += more;
    c.green += more;
    c.blue += more;
    return brought_inside(c, alpha);
}

static inline struct rgb with_saturation(struct rgb c, float wanted)
{
    float *high, *middle, *low;

    if (c.red > c.green) {
        high = c.red > c.blue ? &c.red : &c.blue;
        low = c.red > c.blue && c.green > c.blue ? &c.blue : &c.green;
        middle = high == &c.blue ? &c.red : low == &c.blue ? &c.green : &c.blue;
    } else if (c.red > c.blue) {
        high = &c.green;
        middle = &c.red;
        low = &c.blue;
    } else {
        high = c.green > c.blue ? &c.green : &c.blue;
        middle = c.green > c.blue ? &c.blue : &c.green;
        low = &c.red;
    }
    const float span = *high - *low;
    if (is_zero(span)) {
        *middle = *high = 0;
    } else {
        *middle = (*middle - *low) * wanted / span;
        *high = wanted;
    }
    *low = 0;
    return c;
}

typedef struct rgb mixed_colours(struct rgb s, float sa, struct rgb d, float da);

static inline struct rgb hue(struct rgb s, float sa, struct rgb d, float da)
{
    return with_lightness(with_saturation(scaled_by(s, da), saturation(d) * sa), sa * da, lightness(d) * sa);
}

static inline struct rgb saturated(struct rgb s, float sa, struct rgb d, float da)
{
    return with_lightness(with_saturation(scaled_by(d, sa), saturation(s) * da), sa * da, lightness(d) * sa);
}

static inline struct rgb coloured(struct rgb s, float sa, struct rgb d, float da)
{
    return with_lightness(scaled_by(s, da), sa * da, lightness(d) * sa);
}

static inline struct rgb lit(struct rgb s, float sa, struct rgb d, float da)
{
    return with_lightness(scaled_by(d, sa), sa * da, lightness(s) * da);
}

static inline void combine_mixed(struct spicemig_colour *restrict dst,
                                 const struct spicemig_colour *restrict src,
                                 const struct spicemig_colour *restrict mask, size_t count,
                                 mixed_colours *mixed)
{
    for (size_t index = 0; index < count; index++) {
        const struct spicemig_colour there = dst[index];
        const struct rgb d = {there.red, there.green, there.blue};
        struct rgb s = {src[index].red, src[index].green, src[index].blue};
        float sa = src[index].alpha, da = there.alpha;

        if (mask != NULL) { /* pixman masks green twice and blue not at all */
            const float ma = mask[index].alpha;
            sa *= ma;
            s.red *= ma;
            s.green *= ma;
            s.green *= ma;
        }
        const struct rgb both = mixed(s, sa, d, da);
        dst[index].alpha = sa + da - sa * da;
        dst[index].red = (1 - sa) * d.red + (1 - da) * s.red + both.red;
        dst[index].green = (1 - sa) * d.green + (1 - da) * s.green + both.green;
        dst[index].blue = (1 - sa) * d.blue + (1 - da) * s.blue + both.blue;
    }
}

#define MIX(name, mixed)                                                                               \
    static void name(struct spicemig_colour *restrict dst, const struct spicemig_colour *restrict src, \
                     const struct spicemig_colour *restrict mask, size_t count)                        \
    {                                                                                                  \
        combine_mixed(dst, src, mask, count, mixed);                                                   \
    }

MIX(hsl_hue, hue)
MIX(hsl_saturation, saturated)
MIX(hsl_color, coloured)
MIX(hsl_luminosity, lit)

/* Masks with an alpha for every part make no sense with these; nothing is drawn. */
static void nothing(struct spicemig_colour *restrict dst, const struct spicemig_colour *restrict src,
                    const struct spicemig_colour *restrict mask, size_t count)
{
    (void)dst, (void)src, (void)mask, (void)count;
}

#define BOTH(name) {NULL, name, name##_parts}

static const struct spicemig_operator operators[SPICEMIG_OPERATORS] = {
    [0x0d] = BOTH(saturate),
    [0x13] = BOTH(disjoint_over),
    [0x14] = BOTH(disjoint_over_reverse),
    [0x15] = BOTH(disjoint_in),
    [0x16] = BOTH(disjoint_in_reverse),
    [0x17] = BOTH(disjoint_out),
    [0x18] = BOTH(disjoint_out_reverse),
    [0x19] = BOTH(disjoint_atop),
    [0x1a] = BOTH(disjoint_atop_reverse),
    [0x1b] = BOTH(disjoint_exclusive),
    [0x23] = BOTH(conjoint_over),
    [0x24] = BOTH(conjoint_over_reverse),
    [0x25] = BOTH(conjoint_in),
    [0x26] = BOTH(conjoint_in_reverse),
    [0x27] = BOTH(conjoint_out),
    [0x28] = BOTH(conjoint_out_reverse),
    [0x29] = BOTH(conjoint_atop),
    [0x2a] = BOTH(conjoint_atop_reverse),
    [0x2b] = BOTH(conjoint_exclusive),
    [0x35] = BOTH(color_dodge),
    [0x36] = BOTH(color_burn),
    [0x38] = BOTH(soft_light),
    [0x3b] = {NULL, hsl_hue, nothing},
    [0x3c] = {NULL, hsl_saturation, nothing},
    [0x3d] = {NULL, hsl_color, nothing},
    [0x3e] = {NULL, hsl_luminosity, nothing},
};

struct spicemig_operator spicemig_operator_of_fractions(unsigned number)
{
    static const struct spicemig_operator none;
    return number < SPICEMIG_OPERATORS ? operators[number] : none;
}
