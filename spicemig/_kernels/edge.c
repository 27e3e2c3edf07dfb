// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/edge.c: the module; takes Python's arguments apart for the kernels.
 *
 * All that comes from Python is checked here and in the edge_*.c of other families:
 * sizes and places against the buffers, so that a kernel cannot leave them. The
 * twins of these functions, with the same arguments, are in devices/raster/reference*.py.
 */
#include "edge.h"

#include "convert.h"
#include "copy.h"
#include "fill.h"

PyDoc_STRVAR(fill_rect_doc,
             "fill_rect(pixels, stride, left, top, cols, rows, value, rop)\n--\n\n"
             "Combine a colour with a rectangle of 32-bit pixels.");

static PyObject *fill_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pixels;
    struct area area;
    unsigned value, rop;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLII:fill_rect", &pixels, &area.stride, &area.left, &area.top,
                          &area.cols, &area.rows, &value, &rop))
        return NULL;
    if (!inside("pixels", &pixels, area) || !known_rop(rop))
        goto exit;
    PyThreadState *state = released(area.rows, area.cols);
    spicemig_fill_rect(first_pixel(&pixels, area), (ptrdiff_t)area.stride, (size_t)area.rows,
                       (size_t)area.cols, value, rop);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&pixels);
    return result;
}

PyDoc_STRVAR(copy_rect_doc,
             "copy_rect(dst, dst_stride, dst_left, dst_top, src, src_stride, src_left, src_top, cols, rows, rop)\n"
             "--\n\nCombine a rectangle of 32-bit pixels with one of another buffer.");

static PyObject *copy_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, src;
    struct area to, from;
    unsigned rop;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLy*LLLLLI:copy_rect", &dst, &to.stride, &to.left, &to.top, &src,
                          &from.stride, &from.left, &from.top, &to.cols, &to.rows, &rop))
        return NULL;
    from.cols = to.cols;
    from.rows = to.rows;
    if (!inside("dst", &dst, to) || !inside("src", &src, from) || !known_rop(rop) || !apart(&dst, &src))
        goto exit;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_copy_rect(first_pixel(&dst, to), (ptrdiff_t)to.stride, first_pixel(&src, from),
                       (ptrdiff_t)from.stride, (size_t)to.rows, (size_t)to.cols, rop);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&src);
    return result;
}

PyDoc_STRVAR(move_rect_doc,
             "move_rect(pixels, stride, left, top, cols, rows, src_left, src_top)\n--\n\n"
             "Copy a rectangle of 32-bit pixels inside one buffer; the two may overlap.");

static PyObject *move_rect(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pixels;
    struct area to, from;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*LLLLLLL:move_rect", &pixels, &to.stride, &to.left, &to.top, &to.cols,
                          &to.rows, &from.left, &from.top))
        return NULL;
    from.stride = to.stride;
    from.cols = to.cols;
    from.rows = to.rows;
    if (!inside("pixels", &pixels, to) || !inside("src", &pixels, from))
        goto exit;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_move_rect(first_pixel(&pixels, to), first_pixel(&pixels, from), (ptrdiff_t)to.stride,
                       (size_t)to.rows, (size_t)to.cols);
    taken_back(state);
    result = Py_NewRef(Py_None);
exit:
    PyBuffer_Release(&pixels);
    return result;
}

PyDoc_STRVAR(convert_rows_doc,
             "convert_rows(dst, src, src_stride, cols, rows, format, palette, bottom_up)\n--\n\n"
             "Make 32-bit pixels, in rows without gaps, of rows of any SPICE bitmap format.");

static PyObject *convert_rows(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer dst, src, palette;
    struct area to = {0};
    long long src_stride;
    unsigned format;
    int bottom_up;
    PyObject *result = NULL;

    if (!PyArg_ParseTuple(args, "w*y*LLLIy*p:convert_rows", &dst, &src, &src_stride, &to.cols, &to.rows,
                          &format, &palette, &bottom_up))
        return NULL;
    if (to.cols < 0 || to.cols > SIZE_LIMIT / 4) {
        outside("dst");
        goto exit;
    }
    to.stride = to.cols * 4;
    if (!inside("dst", &dst, to) || !apart(&dst, &src))
        goto exit;
    result = Py_NewRef(Py_None);
    if (to.cols == 0 || to.rows == 0)
        goto exit;
    const long long row_bytes = (long long)spicemig_row_bytes(format, (size_t)to.cols);
    if (row_bytes == 0) {
        PyErr_Format(PyExc_ValueError, "format: %u is not a bitmap format", format);
        Py_CLEAR(result);
        goto exit;
    }
    if (src_stride < row_bytes || src_stride > SIZE_LIMIT ||
        (to.rows - 1) * src_stride + row_bytes > src.len) {
        outside("src");
        Py_CLEAR(result);
        goto exit;
    }
    const uint8_t *first = src.buf;
    PyThreadState *state = released(to.rows, to.cols);
    spicemig_convert_rows(dst.buf, (ptrdiff_t)to.stride,
                          bottom_up ? first + (to.rows - 1) * src_stride : first,
                          (ptrdiff_t)(bottom_up ? -src_stride : src_stride), (size_t)to.rows,
                          (size_t)to.cols, format, palette.buf, (size_t)palette.len / 4);
    taken_back(state);
exit:
    PyBuffer_Release(&dst);
    PyBuffer_Release(&src);
    PyBuffer_Release(&palette);
    return result;
}

static PyMethodDef methods[] = {
    {"fill_rect", fill_rect, METH_VARARGS, fill_rect_doc},
    {"copy_rect", copy_rect, METH_VARARGS, copy_rect_doc},
    {"move_rect", move_rect, METH_VARARGS, move_rect_doc},
    {"convert_rows", convert_rows, METH_VARARGS, convert_rows_doc},
    {"scale_part", spicemig_edge_scale_part, METH_VARARGS, spicemig_scale_part_doc},
    {"composite", spicemig_edge_composite, METH_VARARGS, spicemig_composite_doc},
    {"copy_keyed", spicemig_edge_copy_keyed, METH_VARARGS, spicemig_copy_keyed_doc},
    {"tile_rect", spicemig_edge_tile_rect, METH_VARARGS, spicemig_tile_rect_doc},
    {"rop3_rect", spicemig_edge_rop3_rect, METH_VARARGS, spicemig_rop3_rect_doc},
    {"settle_rect", spicemig_edge_settle_rect, METH_VARARGS, spicemig_settle_rect_doc},
    {"curve_points", spicemig_edge_curve_points, METH_VARARGS, spicemig_curve_points_doc},
    {"draw_lines", spicemig_edge_draw_lines, METH_VARARGS, spicemig_draw_lines_doc},
    {"draw_dashes", spicemig_edge_draw_dashes, METH_VARARGS, spicemig_draw_dashes_doc},
    {"add_glyphs", spicemig_edge_add_glyphs, METH_VARARGS, spicemig_add_glyphs_doc},
    {"blend_mask", spicemig_edge_blend_mask, METH_VARARGS, spicemig_blend_mask_doc},
    {"quic_encode", spicemig_edge_quic_encode, METH_VARARGS, spicemig_quic_encode_doc},
    {"quic_decode", spicemig_edge_quic_decode, METH_VARARGS, spicemig_quic_decode_doc},
    {"lz_encode", spicemig_edge_lz_encode, METH_VARARGS, spicemig_lz_encode_doc},
    {"lz_decode", spicemig_edge_lz_decode, METH_VARARGS, spicemig_lz_decode_doc},
    {"take_batch", spicemig_edge_take_batch, METH_VARARGS, spicemig_take_batch_doc},
    {"cull_log", spicemig_edge_cull_log, METH_VARARGS, spicemig_cull_log_doc},
    {"split_log", spicemig_edge_split_log, METH_VARARGS, spicemig_split_log_doc},
    {"renumber_log", spicemig_edge_renumber_log, METH_VARARGS, spicemig_renumber_log_doc},
    {"mark_tiles", spicemig_edge_mark_tiles, METH_VARARGS, spicemig_mark_tiles_doc},
    {"draw_log", spicemig_edge_draw_log, METH_VARARGS, spicemig_draw_log_doc},
    {"glz_window", spicemig_edge_glz_window, METH_VARARGS, spicemig_glz_window_doc},
    {"glz_forget", spicemig_edge_glz_forget, METH_VARARGS, spicemig_glz_forget_doc},
    {"glz_state", spicemig_edge_glz_state, METH_VARARGS, spicemig_glz_state_doc},
    {"glz_encode", spicemig_edge_glz_encode, METH_VARARGS, spicemig_glz_encode_doc},
    {"glz_put", spicemig_edge_glz_put, METH_VARARGS, spicemig_glz_put_doc},
    {"glz_image", spicemig_edge_glz_image, METH_VARARGS, spicemig_glz_image_doc},
    {"glz_probe", spicemig_edge_glz_probe, METH_VARARGS, spicemig_glz_probe_doc},
    {"glz_decoder_window", spicemig_edge_glz_decoder_window, METH_NOARGS, spicemig_glz_decoder_window_doc},
    {"glz_drop", spicemig_edge_glz_drop, METH_VARARGS, spicemig_glz_drop_doc},
    {"glz_decode", spicemig_edge_glz_decode, METH_VARARGS, spicemig_glz_decode_doc},
    {"gradual_score", spicemig_edge_gradual_score, METH_VARARGS, spicemig_gradual_score_doc},
    {"sketch_add", spicemig_edge_sketch_add, METH_VARARGS, spicemig_sketch_add_doc},
    {"sketch_find", spicemig_edge_sketch_find, METH_VARARGS, spicemig_sketch_find_doc},
    {"pack_batch", spicemig_edge_pack_batch, METH_VARARGS, spicemig_pack_batch_doc},
    {"pack_entries", spicemig_edge_pack_entries, METH_VARARGS, spicemig_pack_entries_doc},
    {"add_boxes", spicemig_edge_add_boxes, METH_VARARGS, spicemig_add_boxes_doc},
    {"boxes_of_batch", spicemig_edge_boxes_of_batch, METH_VARARGS, spicemig_boxes_of_batch_doc},
    {"entries_of_batch", spicemig_edge_entries_of_batch, METH_VARARGS, spicemig_entries_of_batch_doc},
    {"covered", spicemig_edge_covered, METH_VARARGS, spicemig_covered_doc},
    {"scan_headers", spicemig_edge_scan_headers, METH_VARARGS, spicemig_scan_headers_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spicemig._kernels",
    .m_doc = "Inner loops over pixels; spicemig.devices.raster.reference has the same in Python.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModuleDef_Init(&module);
}
