// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/edge.h: what edge.c and every edge_*.c use to check Python's arguments.
 *
 * Only these files know Python. A family that has no room in edge.c declares its
 * entries at the end of this file, defines them in edge_FAMILY.c, and edge.c
 * lists them.
 */
#ifndef SPICEMIG_EDGE_H
#define SPICEMIG_EDGE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* Sizes and places stay below this, so that products of two fit into 64 bits with room. */
#define SIZE_LIMIT ((long long)INT32_MAX)

/* Fewer pixels than this are done before another thread could have taken over. */
#define PIXELS_WORTH_A_RELEASE 16384

/* Pixels of 32 bits inside a buffer. */
struct area {
    long long stride, left, top, cols, rows;
};

static inline int outside(const char *argument)
{
    PyErr_Format(PyExc_ValueError, "%s: the rectangle does not lie inside the buffer", argument);
    return 0;
}

static inline int inside(const char *argument, const Py_buffer *buffer, struct area area)
{
    const long long values[] = {area.stride, area.left, area.top, area.cols, area.rows};

    for (size_t index = 0; index < sizeof values / sizeof values[0]; index++)
        if (values[index] < 0 || values[index] > SIZE_LIMIT)
            return outside(argument);
    if (area.rows == 0 || area.cols == 0)
        return 1;
    if ((area.left + area.cols) * 4 > area.stride)
        return outside(argument);
    if ((area.top + area.rows - 1) * area.stride + (area.left + area.cols) * 4 > buffer->len)
        return outside(argument);
    return 1;
}

/* The first pixel of an area that was found inside; of an empty one, the buffer's first. */
static inline uint8_t *first_pixel(const Py_buffer *buffer, struct area area)
{
    if (area.rows == 0 || area.cols == 0)
        return buffer->buf;
    return (uint8_t *)buffer->buf + area.top * area.stride + area.left * 4;
}

static inline int known_rop(unsigned rop)
{
    if (rop < 16)
        return 1;
    PyErr_Format(PyExc_ValueError, "rop: %u is not a truth table of two inputs", rop);
    return 0;
}

static inline int apart(const Py_buffer *one, const Py_buffer *other)
{
    const uintptr_t one_start = (uintptr_t)one->buf, other_start = (uintptr_t)other->buf;

    if (one_start + (size_t)one->len <= other_start || other_start + (size_t)other->len <= one_start)
        return 1;
    PyErr_SetString(PyExc_ValueError, "src: shares memory with dst");
    return 0;
}

static inline PyThreadState *released(long long rows, long long cols)
{
    return rows * cols >= PIXELS_WORTH_A_RELEASE ? PyEval_SaveThread() : NULL;
}

static inline void taken_back(PyThreadState *state)
{
    if (state != NULL)
        PyEval_RestoreThread(state);
}

/* edge_scale.c */
PyObject *spicemig_edge_scale_part(PyObject *module, PyObject *args);
extern const char spicemig_scale_part_doc[];

/* edge_composite.c */
PyObject *spicemig_edge_composite(PyObject *module, PyObject *args);
extern const char spicemig_composite_doc[];
PyObject *spicemig_edge_copy_keyed(PyObject *module, PyObject *args);
extern const char spicemig_copy_keyed_doc[];

/* edge_rops.c */
PyObject *spicemig_edge_tile_rect(PyObject *module, PyObject *args);
extern const char spicemig_tile_rect_doc[];
PyObject *spicemig_edge_rop3_rect(PyObject *module, PyObject *args);
extern const char spicemig_rop3_rect_doc[];
PyObject *spicemig_edge_settle_rect(PyObject *module, PyObject *args);
extern const char spicemig_settle_rect_doc[];

/* edge_paths.c */
PyObject *spicemig_edge_curve_points(PyObject *module, PyObject *args);
extern const char spicemig_curve_points_doc[];
PyObject *spicemig_edge_draw_lines(PyObject *module, PyObject *args);
extern const char spicemig_draw_lines_doc[];
PyObject *spicemig_edge_draw_dashes(PyObject *module, PyObject *args);
extern const char spicemig_draw_dashes_doc[];
PyObject *spicemig_edge_add_glyphs(PyObject *module, PyObject *args);
extern const char spicemig_add_glyphs_doc[];
PyObject *spicemig_edge_blend_mask(PyObject *module, PyObject *args);
extern const char spicemig_blend_mask_doc[];

/* edge_quic.c */
PyObject *spicemig_edge_quic_encode(PyObject *module, PyObject *args);
extern const char spicemig_quic_encode_doc[];
PyObject *spicemig_edge_quic_decode(PyObject *module, PyObject *args);
extern const char spicemig_quic_decode_doc[];

/* edge_lz.c */
PyObject *spicemig_edge_lz_encode(PyObject *module, PyObject *args);
extern const char spicemig_lz_encode_doc[];
PyObject *spicemig_edge_lz_decode(PyObject *module, PyObject *args);
extern const char spicemig_lz_decode_doc[];

/* edge_pipe.c */
PyObject *spicemig_edge_covered(PyObject *module, PyObject *args);
extern const char spicemig_covered_doc[];
PyObject *spicemig_edge_add_boxes(PyObject *module, PyObject *args);
extern const char spicemig_add_boxes_doc[];

/* edge_log.c */
PyObject *spicemig_edge_take_batch(PyObject *module, PyObject *args);
extern const char spicemig_take_batch_doc[];
PyObject *spicemig_edge_cull_log(PyObject *module, PyObject *args);
extern const char spicemig_cull_log_doc[];
PyObject *spicemig_edge_split_log(PyObject *module, PyObject *args);
extern const char spicemig_split_log_doc[];
PyObject *spicemig_edge_renumber_log(PyObject *module, PyObject *args);
extern const char spicemig_renumber_log_doc[];
PyObject *spicemig_edge_mark_tiles(PyObject *module, PyObject *args);
extern const char spicemig_mark_tiles_doc[];

/* edge_draw_log.c */
PyObject *spicemig_edge_draw_log(PyObject *module, PyObject *args);
extern const char spicemig_draw_log_doc[];

/* edge_glz.c */
PyObject *spicemig_edge_glz_window(PyObject *module, PyObject *args);
extern const char spicemig_glz_window_doc[];
PyObject *spicemig_edge_glz_forget(PyObject *module, PyObject *args);
extern const char spicemig_glz_forget_doc[];
PyObject *spicemig_edge_glz_state(PyObject *module, PyObject *args);
extern const char spicemig_glz_state_doc[];
PyObject *spicemig_edge_glz_encode(PyObject *module, PyObject *args);
extern const char spicemig_glz_encode_doc[];
PyObject *spicemig_edge_glz_put(PyObject *module, PyObject *args);
extern const char spicemig_glz_put_doc[];
PyObject *spicemig_edge_glz_image(PyObject *module, PyObject *args);
extern const char spicemig_glz_image_doc[];
PyObject *spicemig_edge_glz_probe(PyObject *module, PyObject *args);
extern const char spicemig_glz_probe_doc[];
PyObject *spicemig_edge_glz_decoder_window(PyObject *module, PyObject *args);
extern const char spicemig_glz_decoder_window_doc[];
PyObject *spicemig_edge_glz_drop(PyObject *module, PyObject *args);
extern const char spicemig_glz_drop_doc[];
PyObject *spicemig_edge_glz_decode(PyObject *module, PyObject *args);
extern const char spicemig_glz_decode_doc[];

/*
 * The window of a capsule that glz_window made, for spicemig_glz_encode; NULL, with
 * an exception, if it is another object or another thread uses it. It is the
 * caller's until released; for both the GIL is needed.
 */
struct spicemig_glz_window *spicemig_edge_glz_claim(PyObject *capsule);
void spicemig_edge_glz_release(PyObject *capsule);
/* edge_batches.c */
PyObject *spicemig_edge_pack_batch(PyObject *module, PyObject *args);
extern const char spicemig_pack_batch_doc[];
PyObject *spicemig_edge_pack_entries(PyObject *module, PyObject *args);
extern const char spicemig_pack_entries_doc[];
PyObject *spicemig_edge_boxes_of_batch(PyObject *module, PyObject *args);
extern const char spicemig_boxes_of_batch_doc[];
PyObject *spicemig_edge_entries_of_batch(PyObject *module, PyObject *args);
extern const char spicemig_entries_of_batch_doc[];

/* edge_sketch.c */
PyObject *spicemig_edge_sketch_add(PyObject *module, PyObject *args);
extern const char spicemig_sketch_add_doc[];
PyObject *spicemig_edge_sketch_find(PyObject *module, PyObject *args);
extern const char spicemig_sketch_find_doc[];

/* edge_gradual.c */
PyObject *spicemig_edge_gradual_score(PyObject *module, PyObject *args);
extern const char spicemig_gradual_score_doc[];

/* edge_scan.c */
PyObject *spicemig_edge_scan_headers(PyObject *module, PyObject *args);
extern const char spicemig_scan_headers_doc[];

#endif
