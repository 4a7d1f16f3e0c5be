/* SPDX-License-Identifier: Apache-2.0 */
/* Argument checks that every operation shares, and the verbose line. */
#include "core/call.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/cpu.h"

static int verbose_level(void)
{
    static _Atomic int cached = -1;
    int level = atomic_load_explicit(&cached, memory_order_relaxed);
    if (level >= 0) return level;
    const char *text = getenv("SMELT_VERBOSE");
    level = text ? atoi(text) : 0;
    if (level < 0) level = 0;
    atomic_store_explicit(&cached, level, memory_order_relaxed);
    return level;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

smelt_status smelt_call_begin(struct smelt_call *call, const char *operation, const smelt_stream *stream)
{
    call->operation = operation;
    call->status = SMELT_OK;
    call->count = 0;
    call->outputs = 0;
    SMELT_TRY(smelt_isa_check());
    SMELT_TRY(smelt_run_init(&call->run, operation, stream));
    if (__builtin_expect(verbose_level() > 0, 0)) call->started = seconds();
    return SMELT_OK;
}

static struct smelt_view *add_view(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                   unsigned dtypes)
{
    if (call->status != SMELT_OK) return NULL;
    struct smelt_view *view = &call->views[call->count];
    call->status = smelt_view_init(view, call->operation, name, tensor, dtypes);
    if (call->status != SMELT_OK) return NULL;
    call->aliases[call->count++] = 0;
    return view;
}

struct smelt_view *smelt_input(struct smelt_call *call, const char *name, const DLTensor *tensor,
                               unsigned dtypes)
{
    return add_view(call, name, tensor, dtypes);
}

struct smelt_view *smelt_output(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                unsigned dtypes)
{
    struct smelt_view *view = add_view(call, name, tensor, dtypes);
    if (view) call->outputs |= 1u << (call->count - 1);
    return view;
}

struct smelt_view *smelt_optional_input(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                        unsigned dtypes)
{
    return tensor ? smelt_input(call, name, tensor, dtypes) : NULL;
}

struct smelt_view *smelt_optional_output(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                         unsigned dtypes)
{
    return tensor ? smelt_output(call, name, tensor, dtypes) : NULL;
}

void smelt_reject(struct smelt_call *call, smelt_status status, const char *format, ...)
{
    if (call->status != SMELT_OK) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    call->status = smelt_fail(status, "%s: %s", call->operation, text);
}

void smelt_expect_rank(struct smelt_call *call, const struct smelt_view *view, int least, int most)
{
    if (!view || call->status != SMELT_OK || (view->rank >= least && view->rank <= most)) return;
    if (least == most)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected rank %d, got %d", view->name, least,
                     view->rank);
    else if (most >= SMELT_MAX_RANK)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected rank %d or more, got %d", view->name, least,
                     view->rank);
    else
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected rank %d to %d, got %d", view->name, least,
                     most, view->rank);
}

void smelt_expect_shape(struct smelt_call *call, const struct smelt_view *view, int rank,
                        const int64_t *shape)
{
    if (!view || call->status != SMELT_OK) return;
    bool same = view->rank == rank;
    for (int i = 0; same && i < rank; i++) same = view->shape[i] == shape[i];
    char expected[SMELT_SHAPE_TEXT], got[SMELT_SHAPE_TEXT];
    if (!same)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected shape %s, got %s", view->name,
                     smelt_shape_text(expected, shape, rank), smelt_shape_text(got, view->shape, view->rank));
}

void smelt_expect_same_shape(struct smelt_call *call, const struct smelt_view *view,
                             const struct smelt_view *like)
{
    if (!view || !like || call->status != SMELT_OK || smelt_views_same_shape(view, like)) return;
    char expected[SMELT_SHAPE_TEXT], got[SMELT_SHAPE_TEXT];
    smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected shape %s, that of %s, got %s", view->name,
                 smelt_shape_text(expected, like->shape, like->rank), like->name,
                 smelt_shape_text(got, view->shape, view->rank));
}

void smelt_expect_dtype(struct smelt_call *call, const struct smelt_view *view, enum smelt_dtype dtype)
{
    if (!view || call->status != SMELT_OK || view->dtype == dtype) return;
    smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected dtype %s, got %s", view->name,
                 smelt_dtype_name(dtype), smelt_dtype_name(view->dtype));
}

void smelt_allow_alias(struct smelt_call *call, const struct smelt_view *output,
                       const struct smelt_view *input)
{
    if (output && input) call->aliases[output - call->views] |= 1u << (input - call->views);
}

static smelt_status check_devices(struct smelt_call *call)
{
    const struct smelt_view *first = &call->views[0];
    for (int i = 0; i < call->count; i++) {
        const struct smelt_view *view = &call->views[i];
        if (view->device.device_type != kDLCPU && view->device.device_type != kDLCUDA)
            return smelt_fail(SMELT_UNSUPPORTED, "%s: %s: expected device type %d (CPU) or %d (CUDA), got %d",
                              call->operation, view->name, kDLCPU, kDLCUDA, (int)view->device.device_type);
        if (view->device.device_type != first->device.device_type ||
            view->device.device_id != first->device.device_id)
            return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: %s: expected device %d:%d, that of %s, got %d:%d",
                              call->operation, view->name, (int)first->device.device_type,
                              first->device.device_id, first->name, (int)view->device.device_type,
                              view->device.device_id);
    }
    return SMELT_OK;
}

static smelt_status check_output(struct smelt_call *call, int at)
{
    const struct smelt_view *output = &call->views[at];
    if (!smelt_view_is_injective(output))
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "%s: %s: expected strides under which no elements share memory", call->operation,
                          output->name);
    for (int i = 0; i < call->count; i++) {
        const struct smelt_view *other = &call->views[i];
        bool both_outputs = call->outputs >> i & 1;
        if (i == at || (both_outputs && i < at) || !smelt_views_overlap(output, other)) continue;
        if ((call->aliases[at] >> i & 1) && smelt_views_identical(output, other)) continue;
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: %s: shares memory with %s%s", call->operation,
                          output->name, other->name,
                          call->aliases[at] >> i & 1 ? " without being exactly the same tensor" : "");
    }
    return SMELT_OK;
}

smelt_status smelt_call_ready(struct smelt_call *call)
{
    SMELT_TRY(call->status);
    SMELT_TRY(check_devices(call));
    for (int i = 0; i < call->count; i++)
        if (call->outputs >> i & 1) SMELT_TRY(check_output(call, i));
    return SMELT_OK;
}

DLDeviceType smelt_call_device(const struct smelt_call *call) { return call->views[0].device.device_type; }

smelt_status smelt_call_end(struct smelt_call *call)
{
    if (__builtin_expect(verbose_level() == 0, 1)) return SMELT_OK;
    double microseconds = (seconds() - call->started) * 1e6;
    char line[1024], shape[SMELT_SHAPE_TEXT];
    int at = 0, size = (int)sizeof line;
    for (int i = 0; i < call->count && at < size; i++) {
        const struct smelt_view *view = &call->views[i];
        at += snprintf(line + at, (size_t)(size - at), " %s=%s%s", view->name, smelt_dtype_name(view->dtype),
                       smelt_shape_text(shape, view->shape, view->rank));
    }
    fprintf(stderr, "smelt,%s,%s,threads=%d,%.1f us,%s\n", call->operation, smelt_isa_name(smelt_isa_used()),
            call->run.slots, microseconds, at > 0 ? line : "");
    return SMELT_OK;
}
