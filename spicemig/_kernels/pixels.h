// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/pixels.h: arithmetic with the bytes of pixels, several pixels at once where the machine can.
 *
 * Of a byte, 255 is the whole. Everything is written with these few functions, so
 * that there is only this file to compare with another machine's instructions.
 */
#ifndef SPICEMIG_PIXELS_H
#define SPICEMIG_PIXELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__

#include <emmintrin.h>

typedef __m128i spicemig_pixels;
#define SPICEMIG_TOGETHER 4 /* pixels in one of them */

static inline spicemig_pixels spicemig_pixels_load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

static inline void spicemig_pixels_store(uint8_t *to, spicemig_pixels pixels)
{
    _mm_storeu_si128((__m128i *)(void *)to, pixels);
}

static inline spicemig_pixels spicemig_none(void)
{
    return _mm_setzero_si128();
}

/* What each byte lacks of the whole. */
static inline spicemig_pixels spicemig_rest(spicemig_pixels pixels)
{
    return _mm_xor_si128(pixels, _mm_set1_epi8(-1));
}

/* The sum of bytes, at most the whole. */
static inline spicemig_pixels spicemig_plus(spicemig_pixels one, spicemig_pixels other)
{
    return _mm_adds_epu8(one, other);
}

/* The product of bytes, rounded. */
static inline spicemig_pixels spicemig_times(spicemig_pixels one, spicemig_pixels other)
{
    const __m128i low_byte = _mm_set1_epi16(0xff), half = _mm_set1_epi16(0x80);
    const __m128i part = _mm_set1_epi16(0x101); /* with the shift by 16, 1 / 255 */
    __m128i low = _mm_mullo_epi16(_mm_and_si128(one, low_byte), _mm_and_si128(other, low_byte));
    __m128i high = _mm_mullo_epi16(_mm_srli_epi16(one, 8), _mm_srli_epi16(other, 8));

    low = _mm_mulhi_epu16(_mm_add_epi16(low, half), part);
    high = _mm_mulhi_epu16(_mm_add_epi16(high, half), part);
    return _mm_or_si128(low, _mm_slli_epi16(high, 8));
}

/* The alpha of a pixel in all of its bytes. */
static inline spicemig_pixels spicemig_alphas(spicemig_pixels pixels)
{
    const __m128i odd = _mm_srli_epi16(pixels, 8); /* green and alpha */
    const __m128i alpha = _mm_shufflehi_epi16(_mm_shufflelo_epi16(odd, 0xf5), 0xf5);

    return _mm_or_si128(alpha, _mm_slli_epi16(alpha, 8));
}

#else

typedef uint32_t spicemig_pixels;
#define SPICEMIG_TOGETHER 1

static inline spicemig_pixels spicemig_pixels_load(const uint8_t *from)
{
    uint32_t pixel;
    memcpy(&pixel, from, sizeof pixel);
    return pixel;
}

static inline void spicemig_pixels_store(uint8_t *to, spicemig_pixels pixels)
{
    memcpy(to, &pixels, sizeof pixels);
}

static inline spicemig_pixels spicemig_none(void)
{
    return 0;
}

static inline spicemig_pixels spicemig_rest(spicemig_pixels pixels)
{
    return ~pixels;
}

static inline spicemig_pixels spicemig_plus(spicemig_pixels one, spicemig_pixels other)
{
    const uint32_t pair = 0x00ff00ffu, carry = 0x01000100u;
    uint32_t low = (one & pair) + (other & pair), high = (one >> 8 & pair) + (other >> 8 & pair);

    low |= carry - (low >> 8 & pair);
    high |= carry - (high >> 8 & pair);
    return (low & pair) | (high & pair) << 8;
}

static inline spicemig_pixels spicemig_times(spicemig_pixels one, spicemig_pixels other)
{
    uint32_t result = 0;

    for (unsigned shift = 0; shift < 32; shift += 8) {
        const uint32_t product = (one >> shift & 255) * (other >> shift & 255) + 128;
        result |= (product + (product >> 8)) >> 8 << shift;
    }
    return result;
}

static inline spicemig_pixels spicemig_alphas(spicemig_pixels pixels)
{
    return (pixels >> 24) * 0x01010101u;
}

#endif

#endif
