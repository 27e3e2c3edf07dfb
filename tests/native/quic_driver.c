// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * tests/native/quic_driver.c: random images and streams for QUIC, to be run under sanitizers.
 *
 * Every buffer is allocated to the byte. Images must come back as they were, in as
 * many pieces as there is room for; changed and random streams must only end. Prints
 * the case that went wrong and returns 1, or returns 0. Arguments: seed, number of cases.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "quic.h"

struct image {
    unsigned type;
    size_t width, height;
    ptrdiff_t stride;
    uint8_t *pixels;
};

/* Noise, steps or runs, of all types; the bytes that are not coded are 0. */
static struct image random_image(void)
{
    struct image image = {
        .type = 1 + roll(5), .width = 1 + (roll(9) ? roll(40) : roll(5000)), .height = 1 + roll(12)};
    const size_t step = spicemig_quic_pixel_bytes(image.type), tight = image.width * step;
    const unsigned kind = roll(4);
    uint8_t last = 0;

    image.stride = (ptrdiff_t)(tight + roll(3));
    const size_t size = (image.height - 1) * (size_t)image.stride + tight;
    image.pixels = room_for(size);
    for (size_t index = 0; index < size; index++) {
        if (kind == 0)
            last = (uint8_t)roll(256);
        else if (kind == 1)
            last = (uint8_t)(last + roll(3) - 1);
        else if (kind == 2 && roll(30) == 0)
            last = (uint8_t)roll(256);
        image.pixels[index] = last;
        const size_t byte = index % (size_t)image.stride;
        if (image.type == SPICEMIG_QUIC_RGB32 && byte % 4 == 3)
            image.pixels[index] = 0;
        if (image.type == SPICEMIG_QUIC_RGB16 && byte % 2 == 1)
            image.pixels[index] &= 0x7f;
    }
    return image;
}

/* Encode with as little room as can be; the caller frees what it returns. */
static uint8_t *encoded(struct image image, int bottom_up, size_t *filled)
{
    const size_t row_bytes = spicemig_quic_row_bytes(image.type, image.width);
    const ptrdiff_t stride = bottom_up ? -image.stride : image.stride;
    const uint8_t *row = bottom_up ? image.pixels + (image.height - 1) * (size_t)image.stride : image.pixels;
    struct spicemig_quic *coder = (void *)room_for(spicemig_quic_bytes(image.width));
    uint8_t *out = NULL;

    spicemig_quic_begin(coder, image.type, image.width);
    *filled = 0;
    for (size_t done = 0; done < image.height;) {
        out = realloc(out, *filled + row_bytes);
        if (out == NULL)
            abort();
        done += spicemig_quic_encode(coder, row + (ptrdiff_t)done * stride, stride, image.height - done, out,
                                     *filled + row_bytes, filled);
    }
    spicemig_quic_end(coder, out, filled);
    free(coder);
    return out;
}

static size_t decoded(struct image image, const uint8_t *words, size_t count)
{
    struct spicemig_quic *coder = (void *)room_for(spicemig_quic_bytes(image.width));

    spicemig_quic_begin(coder, image.type, image.width);
    const size_t rows = spicemig_quic_decode(coder, image.pixels, image.stride, image.height, words, count);
    free(coder);
    return rows;
}

static int round_trip(struct image image, const uint8_t *words, size_t count, int bottom_up)
{
    const size_t tight = image.width * spicemig_quic_pixel_bytes(image.type);
    struct image back = image;
    int same;

    back.pixels = room_for((image.height - 1) * (size_t)image.stride + tight);
    same = decoded(back, words, count) == image.height;
    for (size_t row = 0; same && row < image.height; row++) {
        const size_t other = bottom_up ? image.height - 1 - row : row;
        same = memcmp(back.pixels + row * (size_t)image.stride, image.pixels + other * (size_t)image.stride,
                      tight) == 0;
    }
    if (same && count && decoded(back, words, count - 1) == image.height)
        same = 0; /* the last word is always needed */
    free(back.pixels);
    return same;
}

static int one_case(void)
{
    struct image image = random_image();
    const int bottom_up = (int)roll(2);
    size_t size;
    uint8_t *words = encoded(image, bottom_up, &size);
    const int same = size % 4 == 0 && round_trip(image, words, size / 4, bottom_up);

    for (int times = 0; times < 4; times++) {
        for (unsigned changes = roll(5); changes && size; changes--)
            words[roll((unsigned)size)] = (uint8_t)roll(256);
        if (roll(3) == 0)
            image.type = image.type == SPICEMIG_QUIC_RGB32 ? SPICEMIG_QUIC_RGBA : image.type;
        const size_t count = roll((unsigned)(size / 4 + 1));
        uint8_t *exact = room_for(4 * count);
        memcpy(exact, words, 4 * count);
        (void)decoded(image, exact, count);
        free(exact);
    }
    free(words);
    free(image.pixels);
    return same;
}

int main(int count, char **arguments)
{
    const unsigned long cases = count > 2 ? strtoul(arguments[2], NULL, 10) : 1000;

    dice = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    for (unsigned long index = 0; index < cases; index++) {
        const uint64_t before = dice;
        if (!one_case()) {
            printf("an image differs with dice at %llu\n", (unsigned long long)before);
            return 1;
        }
    }
    return 0;
}
