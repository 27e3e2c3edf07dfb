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
                              __m128i weight_below, __m128i weights)
{
    const __m128i zero = _mm_setzero_si128();
    const __m128i top = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)above), zero);
    const __m128i bottom = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)below), zero);
    const __m128i sums = _mm_add_epi16(_mm_mullo_epi16(top, weight_above), _mm_mullo_epi16(bottom, weight_below));
    const __m128i pairs = _mm_unpacklo_epi16(sums, _mm_srli_si128(sums, 8));

    return _mm_srli_epi32(_mm_madd_epi16(pairs, weights), 14);
}

void spicemig_interpolate(uint8_t *restrict dst, size_t count, const struct spicemig_row_pair *rows,
                          int64_t x, int64_t step, uint32_t opaque)
{
    const __m128i weight_above = _mm_set1_epi16((short)rows->weight_above);
    const __m128i weight_below = _mm_set1_epi16((short)rows->weight_below);
    const __m128i alpha = _mm_set1_epi32((int)opaque), whole = _mm_set1_epi32(SPICEMIG_WHOLE);
    const uint32_t first = (uint32_t)x, more = (uint32_t)step;
    __m128i places = _mm_set_epi32((int)(first + 3 * more), (int)(first + 2 * more), (int)(first + more), (int)first);
    const __m128i four_steps = _mm_set1_epi32((int)(4 * more));

    for (size_t done = 0; done < count; done += 4) {
        /* as spicemig_weight(), for four: the second's in the upper half of 32 bits, the first's in the lower one */
        const __m128i second = _mm_and_si128(_mm_srli_epi32(places, 9), _mm_set1_epi32(SPICEMIG_WHOLE - 1));
        const __m128i weights = _mm_or_si128(_mm_slli_epi32(second, 16), _mm_sub_epi32(whole, second));
        const size_t left = count - done;
        /* there is nothing to read behind the last */
        const int64_t at[4] = {x >> 16, (left > 1 ? x + step : x) >> 16, (left > 2 ? x + 2 * step : x) >> 16,
                               (left > 3 ? x + 3 * step : x) >> 16};
        const __m128i made[4] = {
            between(rows->above + 4 * at[0], rows->below + 4 * at[0], weight_above, weight_below,
                    _mm_shuffle_epi32(weights, 0x00)),
            between(rows->above + 4 * at[1], rows->below + 4 * at[1], weight_above, weight_below,
                    _mm_shuffle_epi32(weights, 0x55)),
            between(rows->above + 4 * at[2], rows->below + 4 * at[2], weight_above, weight_below,
                    _mm_shuffle_epi32(weights, 0xaa)),
            between(rows->above + 4 * at[3], rows->below + 4 * at[3], weight_above, weight_below,
                    _mm_shuffle_epi32(weights, 0xff)),
        };
        x += 4 * step;
        places = _mm_add_epi32(places, four_steps);
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
