/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How fast the codecs of spice-server and spice-gtk are, for benchmarks/codecs.py, which
 * compiles this with their sources:
 *
 *     peer_codecs SECONDS WIDTH HEIGHT FILE...
 *
 * Files are raw images of 32-bit pixels, top row first. For every image and codec one line
 * of JSON: the best of the rounds that fit into SECONDS, in processor time of this thread.
 */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glib.h>
#include <pixman.h>

#include "common/canvas_base.h"
#include "common/canvas_utils.h"
#include "common/lz.h"
#include "common/quic.h"
#include "decode.h"
#include "glz-encoder.h"

enum { IMAGES = 16, WINDOW = 16 << 20, LEAST_ROUNDS = 3 };

static int width, height, count;
static size_t raw;
static uint8_t *images[IMAGES], *coded, *back;
static size_t room;
static double seconds;

/* ---- what the codecs ask for ---- */

static void complain(void *user, const char *format, ...)
{
    va_list arguments;
    (void)user;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    exit(1);
}

static void ignore(void *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static void *get(void *user, int size)
{
    (void)user;
    return malloc((size_t)size);
}

static void give(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static int no_space(void *user, uint8_t **more)
{
    (void)user;
    (void)more;
    return 0;
}

static int no_words(void *user, uint32_t **more, int rows)
{
    (void)rows;
    return no_space(user, (uint8_t **)more);
}

static int no_lines(void *user, uint8_t **lines)
{
    (void)user;
    (void)lines;
    return 0;
}

static void forget(void *user, void *image)
{
    (void)user;
    (void)image;
}

static QuicUsrContext quic_user;
static LzUsrContext lz_user;
static GlzEncoderUsrContext glz_user;

#define FILL(user)                          \
    ((user).error = (void *)complain,       \
     (user).warn = (void *)ignore,          \
     (user).info = (void *)ignore,          \
     (user).malloc = (void *)get,           \
     (user).free = (void *)give,            \
     (user).more_lines = (void *)no_lines)

/* the decoder waits for an image in a coroutine; here all are there */
typedef struct _GCoroutine GCoroutine;
GCoroutine *g_coroutine_self(void);
gboolean g_coroutine_condition_wait(GCoroutine *self, void *condition, gpointer data);
gboolean spice_util_get_debug(void);
void spice_backtrace(void);

GCoroutine *g_coroutine_self(void)
{
    return NULL;
}

gboolean g_coroutine_condition_wait(GCoroutine *self, void *condition, gpointer data)
{
    (void)self;
    (void)condition;
    (void)data;
    return TRUE;
}

gboolean spice_util_get_debug(void)
{
    return FALSE;
}

void spice_backtrace(void)
{
}

/* ---- measuring ---- */

static double cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void tell(int image, const char *codec, size_t size, double encode, double decode, int exact)
{
    printf("{\"image\": %d, \"codec\": \"%s\", \"coded_bytes\": %zu, \"encode\": %.1f, \"decode\": %.1f, "
           "\"exact\": %d}\n",
           image, codec, size, (double)raw / 1e6 / encode, (double)raw / 1e6 / decode, exact);
    fflush(stdout);
}

/* Run STEP for a while; LEAST is the least time that it took. */
#define BEST(LEAST, STEP)                                                             \
    do {                                                                              \
        double end_ = cpu() + seconds;                                                \
        (LEAST) = 1e9;                                                                \
        for (int round_ = 0; round_ < LEAST_ROUNDS || cpu() < end_; round_++) {       \
            double began_ = cpu(), took_;                                             \
            STEP;                                                                     \
            took_ = cpu() - began_;                                                   \
            (LEAST) = took_ < (LEAST) ? took_ : (LEAST);                              \
        }                                                                             \
    } while (0)

/* Whether the colours are the same. */
static int same(const uint8_t *one, const uint8_t *other)
{
    for (size_t at = 0; at < raw; at++)
        if (at % 4 != 3 && one[at] != other[at])
            return 0;
    return 1;
}

static void run_quic(int number, QuicImageType type, const char *name)
{
    QuicContext *codec = quic_create(&quic_user);
    QuicImageType found;
    int words = 0, wide, high;
    double encode, decode;
    BEST(encode, words = quic_encode(codec, type, width, height, images[number], (unsigned)height, 4 * width,
                                     (uint32_t *)coded, (unsigned)(room / 4)));
    BEST(decode, quic_decode_begin(codec, (uint32_t *)coded, (unsigned)words, &found, &wide, &high);
         quic_decode(codec, found, back, 4 * width));
    tell(number, name, 4 * (size_t)words, encode, decode, same(images[number], back));
    quic_destroy(codec);
}

static void run_lz(int number, LzImageType type, const char *name)
{
    LzContext *codec = lz_create(&lz_user);
    LzImageType found;
    int size = 0, wide, high, pixels, top_down;
    double encode, decode;
    BEST(encode, size = lz_encode(codec, type, width, height, TRUE, images[number], (unsigned)height, 4 * width,
                                  coded, (unsigned)room));
    BEST(decode, lz_decode_begin(codec, coded, (unsigned)size, &found, &wide, &high, &pixels, &top_down, NULL);
         lz_decode(codec, type, back));
    tell(number, name, (size_t)size, encode, decode, same(images[number], back));
    lz_destroy(codec);
}

static void decode_glz(SpiceGlzDecoder *decoder, uint8_t *stream, LzDecodeUsrData *user)
{
    decoder->ops->decode(decoder, stream, NULL, user);
}

/* Encode image NUMBER after those of BEFORE, whose streams are kept for the decoder. */
static void run_glz(int number, const int *before, int befores, const char *name)
{
    static uint8_t *streams[IMAGES];
    double encode = 1e9, decode = 1e9, end = cpu() + seconds;
    int size = 0;
    for (int round = 0; round < LEAST_ROUNDS || cpu() < end; round++) {
        GlzEncDictContext *window = glz_enc_dictionary_create(WINDOW, 1, &glz_user);
        GlzEncoderContext *codec = glz_encoder_create(0, window, &glz_user);
        GlzEncDictImageContext *entry;
        double began;
        for (int at = 0; at < befores; at++) {
            if (!streams[at])
                streams[at] = malloc(room);
            glz_encode(codec, LZ_IMAGE_TYPE_RGB32, width, height, TRUE, images[before[at]], (unsigned)height,
                       4 * width, streams[at], (unsigned)room, NULL, &entry);
        }
        began = cpu();
        size = glz_encode(codec, LZ_IMAGE_TYPE_RGB32, width, height, TRUE, images[number], (unsigned)height,
                          4 * width, coded, (unsigned)room, NULL, &entry);
        began = cpu() - began;
        encode = began < encode ? began : encode;
        glz_encoder_destroy(codec);
        glz_enc_dictionary_destroy(window, &glz_user);
    }
    int exact = 0;
    end = cpu() + seconds;
    for (int round = 0; round < LEAST_ROUNDS || cpu() < end; round++) {
        SpiceGlzDecoderWindow *window = glz_decoder_window_new();
        SpiceGlzDecoder *decoder = glz_decoder_new(window);
        LzDecodeUsrData user = {0};
        double began;
        for (int at = 0; at < befores; at++) {
            decode_glz(decoder, streams[at], &user);
            pixman_image_unref(user.out_surface);
        }
        began = cpu();
        decode_glz(decoder, coded, &user);
        began = cpu() - began;
        decode = began < decode ? began : decode;
        exact = same(images[number], (const uint8_t *)pixman_image_get_data(user.out_surface));
        pixman_image_unref(user.out_surface);
        glz_decoder_destroy(decoder);
        glz_decoder_window_destroy(window);
    }
    tell(number, name, (size_t)size, encode, decode, exact);
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 4 + IMAGES)
        return 2;
    seconds = atof(argv[1]);
    width = atoi(argv[2]);
    height = atoi(argv[3]);
    count = argc - 4;
    raw = (size_t)width * (size_t)height * 4;
    room = 2 * raw + 4096;
    coded = malloc(room);
    back = malloc(raw);
    for (int at = 0; at < count; at++) {
        FILE *file = fopen(argv[4 + at], "rb");
        images[at] = malloc(raw);
        if (!file || fread(images[at], 1, raw, file) != raw)
            return 1;
        fclose(file);
    }
    FILL(quic_user);
    FILL(lz_user);
    FILL(glz_user);
    quic_user.more_space = (void *)no_words;
    lz_user.more_space = (void *)no_space;
    glz_user.more_space = (void *)no_space;
    glz_user.free_image = (void *)forget;
    for (int at = 0; at < count; at++) {
        int others[IMAGES], number = 0;
        for (int other = 0; other < count; other++)
            if (other != at)
                others[number++] = other;
        run_quic(at, QUIC_IMAGE_TYPE_RGB32, "quic_rgb32");
        run_quic(at, QUIC_IMAGE_TYPE_RGBA, "quic_rgba");
        run_lz(at, LZ_IMAGE_TYPE_RGB32, "lz_rgb32");
        run_lz(at, LZ_IMAGE_TYPE_RGBA, "lz_rgba");
        run_glz(at, others, 0, "glz_cold");
        run_glz(at, others, number, "glz_window");
        run_glz(at, &at, 1, "glz_repeat");
    }
    return 0;
}
