// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glz_encode.c: see glz.h. */
#include "glz.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "lz_tokens.h"

#define SLOTS_LOG 16                    /* of each table of places that were seen: both stay in a near cache */
#define PLACE_BITS 26                   /* of a slot: where in the ring; the others are of the hash */
#define PATIENCE_LOG 6                  /* after as many misses every second place is tried, then every third */
#define BLOCK_LOG 8                     /* of the units of the ring of whose first is known what image has it */
#define IMAGES_LOG 16                   /* of the most images that a window has */
#define FARTHEST_UNIT ((size_t)1 << 25) /* places in images are below */
#define FAR_PLACE 4096                  /* as a reference has it; from here on it takes another form */
#define FARTHER_PLACE 131072            /* from here on it takes a byte more */
#define COPIED_TOGETHER 4096            /* units: few enough to be in the cache still */
#define LONG_AHEAD 4                    /* units of a colour that the table of longer beginnings looks at */
#define ABOVE_ENOUGH 16                 /* units as in the row above: nothing better is looked for */
#define STREAMED 65536                  /* units of an image whose copy is not kept in the cache */
#define HASH_FACTOR 0x9e3779b97f4a7c15u
#define SPARE_BYTES 16                  /* that may be touched behind what is written */
#define PROBES 64                       /* places that are looked up */
#define PROBE_STEPS 32                  /* how far to go on from each */
#define PROBE_LENGTH 32                 /* units in a row that must be found */

#define GLZ_INLINE static inline __attribute__((always_inline)) /* with the plane a constant */

/* What is coded of a unit of four bytes: some that are behind one another. */
struct plane {
    unsigned shift; /* to the first */
    unsigned bytes;
    unsigned bias;  /* the units of the shortest reference */
    unsigned ahead; /* units that are looked at together */
};

static const struct plane colours = {0, 3, 1, 2}, alpha = {24, 1, 3, 4}, indexes = {0, 1, 3, 4},
                          pixels16 = {0, 2, 2, 3};

static inline uint32_t mask_of(struct plane plane)
{
    return (0xffffffffu >> (32 - 8 * plane.bytes)) << plane.shift;
}

/* Units lie anywhere: what the caller gave need not be aligned. */
static inline uint32_t unit_at(const uint8_t *units, size_t at)
{
    uint32_t unit;

    memcpy(&unit, units + 4 * at, 4);
    return unit;
}

/* Two units as a number, without what is not coded. */
static inline uint64_t two_at(const uint8_t *units, size_t at, struct plane plane)
{
    uint64_t two;

    memcpy(&two, units + 4 * at, 8);
    return two & ((uint64_t)mask_of(plane) << 32 | mask_of(plane));
}

/* Zero if two units are the same in both places. */
static inline uint64_t differ_at(const uint8_t *one, const uint8_t *other, size_t at, struct plane plane)
{
    uint64_t a, b;

    memcpy(&a, one + 4 * at, 8);
    memcpy(&b, other + 4 * at, 8);
    return (a ^ b) & ((uint64_t)mask_of(plane) << 32 | mask_of(plane));
}

/* What the encoder looks at, as a number of 64 bits. */
GLZ_INLINE uint64_t seen(const uint8_t *units, size_t at, struct plane plane)
{
    uint64_t value = 0;

    if (plane.ahead == 2)
        return two_at(units, at, plane);
    for (unsigned index = 0; index < plane.ahead; index++)
        value |= (uint64_t)((unit_at(units, at + index) & mask_of(plane)) >> plane.shift)
                 << (8 * plane.bytes * index);
    return value;
}

GLZ_INLINE uint64_t hashed(const uint8_t *units, size_t at, struct plane plane)
{
    return seen(units, at, plane) * HASH_FACTOR;
}

/* Of a longer beginning; only colours have that. */
GLZ_INLINE uint64_t hashed_long(const uint8_t *units, size_t at)
{
    uint64_t value = two_at(units, at, colours) * HASH_FACTOR;

    value ^= value >> 29;
    return (value + two_at(units, at + 2, colours)) * HASH_FACTOR;
}

/* How many of at most so many units from two places on are equal. */
GLZ_INLINE size_t alike(const uint8_t *one, const uint8_t *other, size_t most, struct plane plane)
{
    size_t at = 0;

    for (; at + 8 <= most; at += 8) {
        uint64_t differ[4];
        for (size_t pair = 0; pair < 4; pair++)
            differ[pair] = differ_at(one, other, at + 2 * pair, plane);
        differ[1] |= differ[0];
        differ[2] |= differ[1];
        if ((differ[2] | differ[3]) != 0) { /* which one cannot be foretold: do not jump */
            at += 2 * ((size_t)(differ[0] == 0) + (differ[1] == 0) + (differ[2] == 0));
            return at + (((unit_at(one, at) ^ unit_at(other, at)) & mask_of(plane)) == 0);
        }
    }
    while (at < most && ((unit_at(one, at) ^ unit_at(other, at)) & mask_of(plane)) == 0)
        at++;
    return at;
}

/* Units lie in front of a place in memory, and left more behind it. */
GLZ_INLINE uint8_t *put_literals(uint8_t *out, const uint8_t *units, size_t count, size_t left, struct plane plane)
{
    while (count) {
        const size_t some = count < SPICEMIG_LZ_LITERALS ? count : SPICEMIG_LZ_LITERALS;
        *out++ = (uint8_t)(some - 1);
        if (plane.bytes == 3 && some <= 4 && count + left >= 4) {
            for (size_t index = 0; index < 4; index++)
                memcpy(out + 3 * index, units + 4 * index, 4);
            out += 3 * some;
        } else {
            for (size_t index = 0; index < some; index++) {
                const uint32_t unit = unit_at(units, index) >> plane.shift;
                if (plane.bytes == 3) {
                    memcpy(out, units + 4 * index, 4);
                    out += 3;
                    continue;
                }
                if (plane.bytes == 2)
                    *out++ = (uint8_t)(unit >> 8);
                *out++ = (uint8_t)unit;
            }
        }
        units += 4 * some;
        count -= some;
    }
    return out;
}

/* Where units were seen before: with image distance 0 in this image, so many and one back. */
struct reference {
    size_t distance, place, length;
};

static const struct reference nowhere = {0, 0, 0};

static inline size_t bytes_of(size_t number)
{
    return number == 0 ? 0 : number < 256 ? 1 : number < 65536 ? 2 : 3;
}

/* Bytes of a reference but for its length's. */
static inline size_t reference_bytes(struct reference to)
{
    if (to.distance == 0)
        return 3 + (to.place >= FARTHER_PLACE);
    if (to.place < FAR_PLACE)
        return 3 + bytes_of(to.distance >> 6);
    return 3 + bytes_of(to.distance) + (to.place >= FARTHER_PLACE);
}

/* As spicemig_lz_put_reference, and what follows; bytes that may not count are written all the same. */
GLZ_INLINE uint8_t *put_reference(uint8_t *out, struct reference to, struct plane plane)
{
    const size_t far = to.place >= FAR_PLACE, farther = to.place >= FARTHER_PLACE;
    size_t length = to.length - plane.bias + 1, more;
    const size_t is_long = length >= SPICEMIG_LZ_LENGTH;

    *out++ = (uint8_t)((is_long ? SPICEMIG_LZ_LENGTH : length) << 5 | far << 4 | (to.place & 15));
    length -= SPICEMIG_LZ_LENGTH;
    if (is_long)
        for (; length >= 255; length -= 255)
            *out++ = 255;
    *out = (uint8_t)length;
    out += is_long;
    *out++ = (uint8_t)(to.place >> 4);
    if (to.distance == 0) {
        *out++ = (uint8_t)(farther << 5 | (to.place >> 12 & 31));
    } else if (far) {
        more = bytes_of(to.distance);
        *out++ = (uint8_t)(more << 6 | farther << 5 | (to.place >> 12 & 31));
        for (size_t index = 0; index < 3; index++)
            out[index] = (uint8_t)(to.distance >> 8 * index);
        out += more;
    } else {
        more = bytes_of(to.distance >> 6);
        *out++ = (uint8_t)(more << 6 | (to.distance & 63));
        for (size_t index = 0; index < 3; index++)
            out[index] = (uint8_t)(to.distance >> (6 + 8 * index));
        out += more;
    }
    *out = (uint8_t)(to.place >> 17);
    return out + farther;
}

static inline struct spicemig_glz_image *record_of(const struct spicemig_glz_window *window, uint64_t id)
{
    return window->images + (id & (((uint64_t)1 << IMAGES_LOG) - 1));
}

/* The image that has a unit at this place of the ring, from an image on that begins before it or in its block. */
static inline const struct spicemig_glz_image *image_from(const struct spicemig_glz_window *window, uint64_t id,
                                                          size_t place)
{
    for (size_t start = 0; id != window->next; id++) {
        const struct spicemig_glz_image *const image = record_of(window, id);
        if (place < image->start || image->start < start)
            return NULL;
        if (place - image->start < image->count)
            return image;
        start = image->start;
    }
    return NULL;
}

static inline const struct spicemig_glz_image *image_at(const struct spicemig_glz_window *window, size_t place)
{
    const uint64_t images = window->next - window->oldest;
    const uint32_t back = (uint32_t)window->next - window->blocks[place >> BLOCK_LOG];
    const struct spicemig_glz_image *image = NULL;

    if (back >= 1 && back <= images)
        image = image_from(window, window->next - back, place);
    if (image == NULL && images && record_of(window, window->oldest)->start >> BLOCK_LOG == place >> BLOCK_LOG)
        image = image_from(window, window->oldest, place);
    return image;
}

struct encoder {
    struct spicemig_glz_window *window;
    const struct spicemig_glz_image *image;
    const uint8_t *units; /* of the image: in the ring, or about to be copied there */
    size_t count;
    size_t row;              /* units of one */
    size_t copied;
    size_t start;            /* in the ring */
    uint32_t *slots, *long_slots;
};

static inline const uint8_t *ring_at(const struct spicemig_glz_window *window, size_t place)
{
    return (const uint8_t *)(window->ring + place);
}

static inline uint32_t *slot_of(uint32_t *slots, uint64_t hash)
{
    return slots + (hash >> (64 - SLOTS_LOG));
}

static inline uint32_t entry_of(uint64_t hash, size_t place)
{
    return (uint32_t)(hash >> (32 - SLOTS_LOG + PLACE_BITS)) << PLACE_BITS | (uint32_t)place;
}

/* What a slot's entry says of a place of an image that looks so. */
GLZ_INLINE struct reference meant(const struct encoder *encoder, uint32_t entry, uint64_t hash, size_t at,
                                     struct plane plane)
{
    const struct spicemig_glz_window *const window = encoder->window;
    const size_t place = entry & (((uint32_t)1 << PLACE_BITS) - 1), inside = place - encoder->start;
    const uint8_t *const here = encoder->units + 4 * at;

    if ((entry ^ entry_of(hash, 0)) >> PLACE_BITS != 0)
        return nowhere;
    if (inside < at) {
        if (at - inside > FARTHEST_UNIT)
            return nowhere;
        return (struct reference){0, at - inside - 1,
                                  alike(encoder->units + 4 * inside, here, encoder->count - at, plane)};
    }
    if (place >= window->size || ((window->ring[place] ^ unit_at(here, 0)) & mask_of(plane)) != 0)
        return nowhere;
    const struct spicemig_glz_image *const image = image_at(window, place);
    if (image == NULL || image == encoder->image || image->type != encoder->image->type)
        return nowhere;
    const size_t offset = place - image->start, there = image->count - offset, left = encoder->count - at;
    if (offset >= FARTHEST_UNIT)
        return nowhere;
    return (struct reference){encoder->image->id - image->id, offset,
                              alike(ring_at(window, place), here, there < left ? there : left, plane)};
}

/* Look a place up, and leave it in the tables. */
GLZ_INLINE struct reference look_up(const struct encoder *encoder, size_t at, struct plane plane)
{
    const uint64_t hash = hashed(encoder->units, at, plane);
    uint32_t *const slot = slot_of(encoder->slots, hash);
    const uint32_t entry = *slot;

    *slot = entry_of(hash, encoder->start + at);
    if (plane.bytes == 3 && at + LONG_AHEAD <= encoder->count) {
        const uint64_t long_hash = hashed_long(encoder->units, at);
        uint32_t *const long_slot = slot_of(encoder->long_slots, long_hash);
        const uint32_t long_entry = *long_slot;
        *long_slot = entry_of(long_hash, encoder->start + at);
        const struct reference found = meant(encoder, long_entry, long_hash, at, plane);
        if (found.length >= LONG_AHEAD)
            return found;
    }
    return meant(encoder, entry, hash, at, plane);
}

/* Leave a place in the tables. */
GLZ_INLINE void remember(const struct encoder *encoder, size_t at, struct plane plane)
{
    if (at + plane.ahead <= encoder->count) {
        const uint64_t hash = hashed(encoder->units, at, plane);
        *slot_of(encoder->slots, hash) = entry_of(hash, encoder->start + at);
    }
    if (plane.bytes == 3 && at + LONG_AHEAD <= encoder->count) {
        const uint64_t hash = hashed_long(encoder->units, at);
        *slot_of(encoder->long_slots, hash) = entry_of(hash, encoder->start + at);
    }
}

/* Copy past the cache: what is in a large image is not needed soon. */
static inline void copy_streaming(uint8_t *dst, const uint8_t *src, size_t bytes)
{
#ifdef __SSE2__
    const size_t before = (16 - ((uintptr_t)dst & 15)) & 15;

    if (bytes >= 64) {
        memcpy(dst, src, before);
        dst += before;
        src += before;
        for (bytes -= before; bytes >= 16; bytes -= 16, dst += 16, src += 16)
            _mm_stream_si128((__m128i *)(void *)dst, _mm_loadu_si128((const __m128i *)(const void *)src));
    }
#endif
    memcpy(dst, src, bytes);
}

static inline void copy_up_to(struct encoder *encoder, size_t at)
{
    uint8_t *const dst = (uint8_t *)(encoder->window->ring + encoder->start + encoder->copied);
    const uint8_t *const src = encoder->units + 4 * encoder->copied;

    if (at <= encoder->copied)
        return;
    if (encoder->count >= STREAMED)
        copy_streaming(dst, src, 4 * (at - encoder->copied));
    else
        memcpy(dst, src, 4 * (at - encoder->copied));
    encoder->copied = at;
}

/* The best that is known of a place that does not repeat the unit before it. */
GLZ_INLINE struct reference best(const struct encoder *encoder, size_t at, struct plane plane)
{
    struct reference above = {0, encoder->row - 1, 0}, found;

    if (at >= encoder->row &&
        seen(encoder->units, at, plane) == seen(encoder->units, at - encoder->row, plane))
        above.length = alike(encoder->units + 4 * (at - encoder->row), encoder->units + 4 * at,
                             encoder->count - at, plane);
    if (above.length >= ABOVE_ENOUGH) {
        remember(encoder, at, plane);
        return above;
    }
    found = look_up(encoder, at, plane);
    return found.length > above.length ? found : above;
}

static inline uint8_t *encode(struct encoder *whose, uint8_t *out, struct plane plane)
{
    struct encoder encoder = *whose; /* of which nobody else knows: it need not be read again and again */
    const uint8_t *const units = encoder.units;
    const size_t count = encoder.count;
    size_t literal = 0, at = 0, misses = 0;

    while (at + plane.ahead <= count) {
        struct reference to = nowhere;
        if (at && seen(units, at, plane) == seen(units, at - 1, plane))
            to.length = alike(units + 4 * (at - 1), units + 4 * at, count - at, plane);
        else
            to = best(&encoder, at, plane);
        if (to.length < plane.bias || to.length * plane.bytes <= reference_bytes(to)) {
            at += 1 + (misses++ >> PATIENCE_LOG);
            continue;
        }
        out = put_literals(out, units + 4 * literal, at - literal, count - at, plane);
        out = put_reference(out, to, plane);
        at = literal = at + to.length;
        misses = 0;
        remember(&encoder, at - 1, plane);
        if (at >= encoder.copied + COPIED_TOGETHER)
            copy_up_to(&encoder, at);
    }
    whose->copied = encoder.copied;
    return put_literals(out, units + 4 * literal, count - literal, 0, plane);
}

size_t spicemig_glz_unit_bytes(unsigned type)
{
    static const uint8_t bytes[] = {0, 1, 1, 1, 1, 1, 2, 3, 4, 4};

    return type < sizeof bytes ? bytes[type] : 0;
}

size_t spicemig_glz_room(unsigned type, size_t count)
{
    const size_t unit = spicemig_glz_unit_bytes(type), planes = type == SPICEMIG_GLZ_RGBA ? 2 : 1;

    return SPICEMIG_GLZ_HEADER_BYTES + count * (unit == 4 ? planes + 2 : unit) +
           planes * (count / SPICEMIG_LZ_LITERALS + 1) + SPARE_BYTES;
}

#define ROUNDED(bytes) (((bytes) + 63) & ~(size_t)63)

static size_t ring_bytes(size_t size)
{
    return ROUNDED((size + 1) * sizeof(uint32_t));
}

static size_t blocks_bytes(size_t size)
{
    return ROUNDED(((size >> BLOCK_LOG) + 1) * sizeof(uint32_t));
}

size_t spicemig_glz_window_bytes(size_t size)
{
    return ROUNDED(sizeof(struct spicemig_glz_window)) + 2 * (sizeof(uint32_t) << SLOTS_LOG) + blocks_bytes(size) +
           (sizeof(struct spicemig_glz_image) << IMAGES_LOG) + ring_bytes(size);
}

struct spicemig_glz_window *spicemig_glz_begin(void *memory, size_t size)
{
    struct spicemig_glz_window *const window = memory;
    uint8_t *at = memory;

    *window = (struct spicemig_glz_window){.size = size};
    at += ROUNDED(sizeof *window);
    window->slots = (uint32_t *)at;
    at += sizeof(uint32_t) << SLOTS_LOG;
    window->long_slots = (uint32_t *)at;
    at += sizeof(uint32_t) << SLOTS_LOG;
    window->blocks = (uint32_t *)at;
    at += blocks_bytes(size);
    window->images = (struct spicemig_glz_image *)at;
    at += sizeof(struct spicemig_glz_image) << IMAGES_LOG;
    window->ring = (uint32_t *)at;
    memset(window->slots, 0, (size_t)((uint8_t *)window->images - (uint8_t *)window->slots));
    return window;
}

static void drop_oldest(struct spicemig_glz_window *window)
{
    window->taken -= record_of(window, window->oldest)->count;
    window->oldest++;
}

void spicemig_glz_forget(struct spicemig_glz_window *window, uint64_t id)
{
    while (window->oldest < window->next && window->oldest < id)
        drop_oldest(window);
}

/* Make room for an image, which is to lie in one piece, and enter it. */
static struct spicemig_glz_image *add(struct spicemig_glz_window *window, unsigned type, unsigned width,
                                      unsigned height, size_t count)
{
    struct spicemig_glz_image *const image = record_of(window, window->next);

    if (window->oldest == window->next)
        window->head = 0;
    while (window->taken + count > window->size || window->next - window->oldest >= (uint64_t)1 << IMAGES_LOG)
        drop_oldest(window);
    if (window->size - window->head < count) {
        while (window->oldest < window->next && record_of(window, window->oldest)->start >= window->head)
            drop_oldest(window);
        window->head = 0;
    }
    while (window->oldest < window->next) {
        const struct spicemig_glz_image *const other = record_of(window, window->oldest);
        if (other->start >= window->head + count || other->start + other->count <= window->head)
            break;
        drop_oldest(window);
    }
    *image = (struct spicemig_glz_image){window->next, (uint32_t)window->head, (uint32_t)count,
                                         (uint16_t)width, (uint16_t)height, (uint8_t)type};
    for (size_t block = (window->head + ((size_t)1 << BLOCK_LOG) - 1) >> BLOCK_LOG;
         block << BLOCK_LOG < window->head + count; block++)
        window->blocks[block] = (uint32_t)window->next;
    window->next++;
    window->head += count;
    window->taken += count;
    return image;
}

/* The units of an image of four bytes each, from its bytes. */
static void widen(uint32_t *dst, const uint8_t *src, size_t unit, size_t count)
{
    if (unit == 1) {
        for (size_t index = 0; index < count; index++)
            dst[index] = src[index];
    } else if (unit == 2) {
        for (size_t index = 0; index < count; index++)
            dst[index] = (uint32_t)src[2 * index] | (uint32_t)src[2 * index + 1] << 8;
    } else {
        for (size_t index = 0; index < count; index++)
            dst[index] = (uint32_t)src[3 * index] | (uint32_t)src[3 * index + 1] << 8 |
                         (uint32_t)src[3 * index + 2] << 16;
    }
}

static uint8_t *put_number(uint8_t *out, uint64_t number, unsigned bytes)
{
    while (bytes--)
        *out++ = (uint8_t)(number >> 8 * bytes);
    return out;
}

/* The units that a row of an image has. */
static size_t row_units(unsigned type, unsigned width)
{
    return type >= SPICEMIG_GLZ_RGB16 ? width : spicemig_glz_row_bytes(type, width);
}

size_t spicemig_glz_row_bytes(unsigned type, unsigned width)
{
    static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32};

    return type < sizeof bits ? ((size_t)width * bits[type] + 7) / 8 : 0;
}

/* Take an image into the window; its units that are wide enough already are not copied yet. */
static struct encoder taken_in(struct spicemig_glz_window *window, const uint8_t *src, unsigned type, unsigned width,
                               unsigned height)
{
    const size_t unit = spicemig_glz_unit_bytes(type), count = row_units(type, width) * height;
    const struct spicemig_glz_image *const image = add(window, type, width, height, count);

    struct encoder encoder = {.window = window,
                              .image = image,
                              .units = ring_at(window, image->start),
                              .count = count,
                              .row = row_units(type, width),
                              .copied = count,
                              .start = image->start,
                              .slots = window->slots,
                              .long_slots = window->long_slots};
    if (unit == 4) {
        encoder.units = src;
        encoder.copied = 0;
    } else {
        widen(window->ring + image->start, src, unit, count);
    }
    return encoder;
}

size_t spicemig_glz_encode(struct spicemig_glz_window *window, const uint8_t *src, unsigned type, unsigned width,
                           unsigned height, int top_down, uint8_t *const start)
{
    struct encoder encoder = taken_in(window, src, type, width, height);
    uint8_t *out = start;

    out = put_number(out, 0x20205a4c, 4);
    out = put_number(out, 0x00010001, 4);
    out = put_number(out, type | (top_down ? 16u : 0), 1);
    out = put_number(out, width, 4);
    out = put_number(out, height, 4);
    out = put_number(out, spicemig_glz_row_bytes(type, width), 4);
    out = put_number(out, encoder.image->id, 8);
    out = put_number(out, encoder.image->id - window->oldest, 4);
    if (type >= SPICEMIG_GLZ_RGB24)
        out = encode(&encoder, out, colours);
    else
        out = type == SPICEMIG_GLZ_RGB16 ? encode(&encoder, out, pixels16) : encode(&encoder, out, indexes);
    copy_up_to(&encoder, encoder.count);
    if (type == SPICEMIG_GLZ_RGBA)
        out = encode(&encoder, out, alpha);
    return (size_t)(out - start);
}

/* Leave all places of a plane in the tables but those inside runs. */
static inline void remember_all(const struct encoder *encoder, struct plane plane)
{
    for (size_t at = 0; at + plane.ahead <= encoder->count; at++)
        if (!at || seen(encoder->units, at, plane) != seen(encoder->units, at - 1, plane))
            remember(encoder, at, plane);
}

void spicemig_glz_put(struct spicemig_glz_window *window, const uint8_t *src, unsigned type, unsigned width,
                      unsigned height)
{
    struct encoder encoder = taken_in(window, src, type, width, height);

    copy_up_to(&encoder, encoder.count);
    if (type >= SPICEMIG_GLZ_RGB24)
        remember_all(&encoder, colours);
    else if (type == SPICEMIG_GLZ_RGB16)
        remember_all(&encoder, pixels16);
    else
        remember_all(&encoder, indexes);
    if (type == SPICEMIG_GLZ_RGBA)
        remember_all(&encoder, alpha);
}

const struct spicemig_glz_image *spicemig_glz_find(const struct spicemig_glz_window *window, uint64_t id)
{
    return id >= window->oldest && id < window->next ? record_of(window, id) : NULL;
}

void spicemig_glz_get(const struct spicemig_glz_window *window, const struct spicemig_glz_image *image, uint8_t *dst)
{
    const size_t unit = spicemig_glz_unit_bytes(image->type);
    const uint32_t *const units = window->ring + image->start;

    if (unit == 4) {
        memcpy(dst, units, 4 * (size_t)image->count);
        return;
    }
    for (size_t at = 0; at < image->count; at++)
        for (size_t byte = 0; byte < unit; byte++)
            *dst++ = (uint8_t)(units[at] >> 8 * byte);
}

static inline int found_at(const struct encoder *encoder, size_t at, struct plane plane)
{
    const uint64_t hash = hashed(encoder->units, at, plane);

    if (plane.bytes == 3 && at + LONG_AHEAD <= encoder->count) {
        const uint64_t long_hash = hashed_long(encoder->units, at);
        const uint32_t entry = *slot_of(encoder->long_slots, long_hash);
        if (meant(encoder, entry, long_hash, at, plane).length >= PROBE_LENGTH)
            return 1;
    }
    return meant(encoder, *slot_of(encoder->slots, hash), hash, at, plane).length >= PROBE_LENGTH;
}

/* Look some units up, which lie in a row; found one after the other they count as one. */
static inline int probe(const struct encoder *encoder, struct plane plane)
{
    for (size_t at = 0; at < PROBE_STEPS && at + plane.ahead <= encoder->count; at++)
        if ((!at || seen(encoder->units, at, plane) != seen(encoder->units, at - 1, plane)) &&
            found_at(encoder, at, plane))
            return 1;
    return 0;
}

size_t spicemig_glz_probe(const struct spicemig_glz_window *window, const uint8_t *src, unsigned type, size_t count,
                          size_t *tried)
{
    const size_t unit = spicemig_glz_unit_bytes(type), step = count < PROBES ? 1 : count / PROBES;
    const struct spicemig_glz_image image = {.start = (uint32_t)window->size, .type = (uint8_t)type};
    uint32_t some[PROBE_STEPS + PROBE_LENGTH];
    size_t found = 0;

    *tried = 0;
    for (size_t first = 0; first < count; first += step, ++*tried) {
        struct encoder encoder = {.window = (struct spicemig_glz_window *)window,
                                  .image = &image,
                                  .start = image.start,
                                  .slots = window->slots,
                                  .long_slots = window->long_slots};
        const size_t left = count - first;
        encoder.count = left < PROBE_STEPS + PROBE_LENGTH ? left : PROBE_STEPS + PROBE_LENGTH;
        encoder.units = (const uint8_t *)some;
        if (unit == 4)
            memcpy(some, src + 4 * first, 4 * encoder.count);
        else
            widen(some, src + unit * first, unit, encoder.count);
        if (type >= SPICEMIG_GLZ_RGB24)
            found += (size_t)probe(&encoder, colours);
        else
            found += (size_t)(type == SPICEMIG_GLZ_RGB16 ? probe(&encoder, pixels16) : probe(&encoder, indexes));
    }
    return found;
}
