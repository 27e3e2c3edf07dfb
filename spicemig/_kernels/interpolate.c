// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/interpolate.c: pixels between pixels. */
#include "interpolate.h"

#include "rop.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* How many steps it takes from x to limit, at most count. */
static size_t steps_to(int64_t x, int64_t limit, int64_t step, size_t count)
{
    if (x >= limit)
        return 0;
    if (step <= 0)
        return count;
    const uint64_t steps = (uint64_t)(limit - x + step - 1) / (uint64_t)step;
    return steps < count ? (size_t)steps : count;
}

struct spicemig_inside spicemig_inside(int64_t x, int64_t step, size_t count, int64_t width, int with_next)
{
    const int64_t limit = (width - (with_next ? 1 : 0)) * 0x10000;
    struct spicemig_inside inside = {steps_to(x, 0, step, count), steps_to(x, limit, step, count)};

    if (inside.end < inside.first)
        inside.end = inside.first;
    return inside;
}

#ifdef __SSE2__

/* One pixel as four numbers of 32 bits. The pixels at both sides are read at once. */
static inline __m128i between(const uint8_t *above, const uint8_t *below, __m128i weight_above,
                              __m128i weight_below, uint32_t weight)
{
    const __m128i zero = _mm_setzero_si128();
    const __m128i top = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)above), zero);
    const __m128i bottom = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)below), zero);
    const __m128i sums = _mm_add_epi16(_mm_mullo_epi16(top, weight_above), _mm_mullo_epi16(bottom, weight_below));
    const __m128i pairs = _mm_unpacklo_epi16(sums, _mm_srli_si128(sums, 8));
    const __m128i weights = _mm_set1_epi32((int)(weight << 16 | (SPICEMIG_WHOLE - weight)));

    return _mm_srli_epi32(_mm_madd_epi16(pairs, weights), 14);
}

void spicemig_interpolate(uint8_t *restrict dst, size_t count, const struct spicemig_row_pair *rows,
                          int64_t x, int64_t step, uint32_t opaque)
{
    const __m128i weight_above = _mm_set1_epi16((short)rows->weight_above);
    const __m128i weight_below = _mm_set1_epi16((short)rows->weight_below);
    const __m128i alpha = _mm_set1_epi32((int)opaque);

    for (size_t done = 0; done < count; done += 4) {
        __m128i made[4];
        for (int index = 0; index < 4; index++) {
            const int64_t at = 4 * (x >> 16);
            made[index] = between(rows->above + at, rows->below + at, weight_above, weight_below,
                                  (uint32_t)spicemig_weight(x));
            if (done + (size_t)index + 1 < count)
                x += step;
        }
        const __m128i four = _mm_or_si128(
            _mm_packus_epi16(_mm_packs_epi32(made[0], made[1]), _mm_packs_epi32(made[2], made[3])), alpha);
        if (count - done >= 4) {
            _mm_storeu_si128((__m128i *)(void *)(dst + 4 * done), four);
        } else {
            uint8_t last[16];
            _mm_storeu_si128((__m128i *)(void *)last, four);
            memcpy(dst + 4 * done, last, 4 * (count - done));
        }
    }
}

#else

static inline uint64_t column(const struct spicemig_row_pair *rows, int64_t col)
{
    return spicemig_lanes(spicemig_load(rows->above + 4 * col)) * rows->weight_above +
           spicemig_lanes(spicemig_load(rows->below + 4 * col)) * rows->weight_below;
}

void spicemig_interpolate(uint8_t *restrict dst, size_t count, const struct spicemig_row_pair *rows,
                          int64_t x, int64_t step, uint32_t opaque)
{
    int64_t current = x >> 16;
    uint64_t left = count ? column(rows, current) : 0, right = count ? column(rows, current + 1) : 0;

    for (size_t index = 0; index < count; index++, x += step) {
        const int64_t wanted = x >> 16;
        if (wanted != current) {
            left = wanted == current + 1 ? right : column(rows, wanted);
            right = column(rows, wanted + 1);
            current = wanted;
        }
        spicemig_store(dst + 4 * index, spicemig_between(left, right, spicemig_weight(x)) | opaque);
    }
}

#endif
