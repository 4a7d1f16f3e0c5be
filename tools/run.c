/* SPDX-License-Identifier: Apache-2.0 */
/* smelt run: one kernel of a .metal file, over arrays in .npy files. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "commands.h"
#include "output.h"

static int wrong(const char *option, const char *text, const char *message)
{
    fprintf(stderr, "smelt run: %s%s%s: %s\n", option, *text ? " " : "", text, message);
    return 2;
}

static int failed(void)
{
    fprintf(stderr, "smelt run: %s\n", smelt_last_error());
    return 1;
}

/* INDEX[,INDEX...]=REST, at most `most` indices; NULL where it is something else. */
static const char *read_indices(const char *text, int64_t *indices, int *count, int most)
{
    char left[256];
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    if (length == 0 || length >= sizeof left) return NULL;
    snprintf(left, sizeof left, "%.*s", (int)length, text);
    *count = numbers_read(left, indices, most, RUN_INDICES);
    return *count ? equals + 1 : NULL;
}

static struct npy *bind(struct run *r, int64_t index, struct npy *memory)
{
    struct npy *old = r->bound[index];
    r->bound[index] = memory;
    return old;
}

static int read_buffer(struct run *r, const char *text)
{
    int64_t indices[RUN_INDICES];
    int count;
    char message[NPY_MESSAGE];
    const char *path = read_indices(text, indices, &count, RUN_INDICES);
    if (!path) return wrong("--buffer", text, "expected INDEX=FILE.npy or INDEX,INDEX...=FILE.npy");
    struct npy *memory = &r->memory[r->memories++];
    if (*path && !npy_read(memory, path, message)) return wrong("--buffer", path, message);
    for (int k = 0; k < count; k++)
        if (bind(r, indices[k], memory)) return wrong("--buffer", text, "an index that is bound already");
    return 0;
}

/* The memory of an output: that of its --buffer, else its own. */
static int place_output(struct run *r, struct run_output *o, const char *text)
{
    char message[NPY_MESSAGE];
    struct npy *memory = r->bound[o->index];
    if (!memory) bind(r, o->index, memory = &r->memory[r->memories++]);
    if (!memory->data) {
        if (!npy_make(memory, o->form.type, o->form.rank, o->form.shape, message))
            return wrong("--out", text, message);
    } else {
        size_t bytes = o->form.type.bits / 8u;
        for (int k = 0; k < o->form.rank; k++) bytes *= (size_t)o->form.shape[k];
        if (bytes != memory->bytes) {
            snprintf(message, sizeof message, "expected the %zu bytes of its --buffer, got %zu",
                     memory->bytes, bytes);
            return wrong("--out", text, message);
        }
    }
    o->form.data = memory->data, o->form.bytes = memory->bytes;
    return 0;
}

static int read_output(struct run *r, const char *text)
{
    static const char expected[] = "expected INDEX=TYPE:SHAPE:FILE.npy, SHAPE as 8,8 or scalar";
    char shape[256];
    int count;
    struct run_output *o = &r->output[r->outputs++];
    *o = (struct run_output){.index = 0};
    const char *type = read_indices(text, &o->index, &count, 1), *axes = type ? strchr(type, ':') : NULL;
    const char *path = axes ? strchr(axes + 1, ':') : NULL;
    if (!path || !path[1] || path - axes > 200 || !type_find(type, (size_t)(axes - type), &o->form.type))
        return wrong("--out", text, expected);
    snprintf(shape, sizeof shape, "%.*s", (int)(path - axes - 1), axes + 1);
    if (strcmp(shape, "scalar") &&
        !(o->form.rank = numbers_read(shape, o->form.shape, NPY_RANK, INT64_C(1) << 40)))
        return wrong("--out", text, expected);
    o->path = path + 1;
    for (int k = 0; k + 1 < r->outputs; k++)
        if (r->output[k].index == o->index) return wrong("--out", text, "an index that is written already");
    return place_output(r, o, text);
}

static int read_bytes(struct run *r, const char *text)
{
    int64_t index;
    int count;
    char message[NPY_MESSAGE];
    unsigned char *bytes = r->values[r->launch.bytes_count];
    size_t size;
    const char *values = read_indices(text, &index, &count, 1);
    if (!values) return wrong("--bytes", text, "expected INDEX=TYPE:VALUE[,TYPE:VALUE...]");
    if (!values_read(values, bytes, &size, message)) return wrong("--bytes", text, message);
    r->bytes[r->launch.bytes_count++] = (smelt_metal_bytes){(uint32_t)index, bytes, size};
    return 0;
}

static int read_constant(struct run *r, const char *text)
{
    int64_t index;
    int count;
    char message[NPY_MESSAGE];
    const char *value = read_indices(text, &index, &count, 1);
    smelt_metal_constant *c = &r->constant[r->constants];
    if (!value) return wrong("--constant", text, "expected INDEX=TYPE:VALUE");
    if (!value_read(value, &c->type, r->constant_value[r->constants], message))
        return wrong("--constant", text, message);
    c->index = (uint32_t)index, c->value = r->constant_value[r->constants++];
    return 0;
}

static int read_memory(struct run *r, const char *text)
{
    int64_t index, length;
    int count;
    const char *bytes = read_indices(text, &index, &count, 1);
    if (!bytes || numbers_read(bytes, &length, 1, INT32_MAX) != 1)
        return wrong("--threadgroup-memory", text, "expected INDEX=BYTES");
    r->threadgroup[r->launch.threadgroup_memory_count++] =
        (smelt_metal_threadgroup_memory){(uint32_t)index, (size_t)length};
    return 0;
}

static int read_each(struct run *r, const struct words *list, int (*read)(struct run *, const char *))
{
    int code = 0;
    for (int k = 0; k < list->count && !code; k++) code = read(r, list->word[k]);
    return code;
}

static int read_size(const char *option, const char *text, uint32_t size[3])
{
    int64_t numbers[3] = {1, 1, 1};
    if (!text || !numbers_read(text, numbers, 3, INT64_C(1) << 32))
        return wrong(option, text ? text : "", "expected X, X,Y or X,Y,Z");
    for (int k = 0; k < 3; k++) size[k] = (uint32_t)numbers[k];
    return 0;
}

/* One of the words of `choices`, which are separated by spaces; -1 after a message. */
static int read_choice(const char *option, const char *text, const char *choices)
{
    char message[NPY_MESSAGE];
    int place = 0;
    for (const char *at = choices; *at; place++) {
        size_t length = strcspn(at, " ");
        if (strlen(text) == length && !strncmp(at, text, length)) return place;
        at += length + (at[length] == ' ');
    }
    snprintf(message, sizeof message, "expected one of: %s", choices);
    wrong(option, text, message);
    return -1;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t length = 0, capacity = 0;
    if (!file) return NULL;
    for (size_t got = 1; got; length += got) {
        if (length + 65536 > capacity) {
            char *grown = realloc(text, capacity = (length + 65536) * 2);
            if (!grown) break;
            text = grown;
        }
        got = fread(text + length, 1, 65535, file);
    }
    bool good = !ferror(file);
    fclose(file);
    if (text) text[length] = 0;
    if (good && text && strlen(text) == length) return text;
    errno = good ? EILSEQ : errno; /* a NUL */
    free(text);
    return NULL;
}

/* Every bound memory once, as buffers by index. */
static void list_buffers(struct run *r)
{
    for (int index = 0; index < RUN_INDICES; index++) {
        const struct npy *memory = r->bound[index];
        if (!memory) continue;
        r->buffer[r->launch.buffer_count++] =
            (smelt_metal_buffer){(uint32_t)index, NULL, memory->data, memory->bytes};
    }
    r->launch.buffers = r->buffer, r->launch.bytes = r->bytes, r->launch.threadgroup_memory = r->threadgroup;
}

static int write_outputs(const struct run *r)
{
    char message[NPY_MESSAGE];
    for (int k = 0; k < r->outputs; k++)
        if (!npy_write(&r->output[k].form, r->output[k].path, message)) {
            fprintf(stderr, "smelt run: %s: %s\n", r->output[k].path, message);
            return 1;
        }
    return 0;
}

static int compile_and_run(struct run *r, const char *source, const char *name,
                           const smelt_metal_compile_options *options, int64_t repeats)
{
    smelt_metal_library *library = NULL;
    smelt_metal_function *function = NULL;
    int code = 0;
    if (smelt_metal_library_create(&library, source, options) != SMELT_OK ||
        smelt_metal_function_create(&function, library, name, r->constant, (size_t)r->constants) !=
            SMELT_OK ||
        smelt_metal_dispatch(function, &r->launch, NULL) != SMELT_OK)
        code = failed();
    if (!code) code = write_outputs(r); /* what the first run made, whatever the others do to it */
    if (!code && repeats) code = run_time(r, function, name, repeats);
    smelt_metal_function_destroy(function);
    smelt_metal_library_destroy(library);
    return code;
}

static bool any_word(const char *word) { return word != NULL; }

struct given {
    const char *function, *grid, *unit, *threadgroup, *mode, *device;
    struct words buffers, bytes, memory, constants, outputs, folders, definitions;
    bool check;
    int64_t repeats;
};

static int read_given(struct run *r, const struct given *g, smelt_metal_compile_options *options)
{
    int code, unit, mode, device;
    if (!g->function) return wrong("--function", "", "expected the name of a kernel");
    if ((code = read_size("--grid", g->grid, r->launch.grid))) return code;
    if ((code = read_size("--threadgroup", g->threadgroup, r->launch.threadgroup))) return code;
    if ((unit = read_choice("--grid-unit", g->unit, "threads threadgroups")) < 0) return 2;
    if ((mode = read_choice("--math-mode", g->mode, "safe relaxed fast")) < 0) return 2;
    if ((device = read_choice("--device", g->device, "cpu cuda")) < 0) return 2;
    r->launch.grid_in_threadgroups = unit;
    options->math_mode = mode, options->check = g->check;
    options->device_type = device ? kDLCUDA : kDLCPU;
    options->include_folders = g->folders.word, options->include_folder_count = (size_t)g->folders.count;
    options->definitions = g->definitions.word, options->definition_count = (size_t)g->definitions.count;
    if ((code = read_each(r, &g->buffers, read_buffer)) || (code = read_each(r, &g->outputs, read_output)) ||
        (code = read_each(r, &g->bytes, read_bytes)) || (code = read_each(r, &g->constants, read_constant)) ||
        (code = read_each(r, &g->memory, read_memory)))
        return code;
    for (int index = 0; index < RUN_INDICES; index++)
        if (r->bound[index] && !r->bound[index]->data)
            return wrong("--buffer", "", "expected a file, or an --out with one of its indices");
    list_buffers(r);
    return 0;
}

int command_run(int argc, char **argv)
{
    struct given g = {.unit = "threads", .mode = "safe", .device = "cpu"};
    const struct argument table[] = {
        {"--function", ARGUMENT_TEXT, &g.function, "NAME", "the kernel"},
        {"--grid", ARGUMENT_TEXT, &g.grid, "X,Y,Z", "its size, in"},
        {"--grid-unit", ARGUMENT_TEXT, &g.unit, "UNIT", "threads (default) or threadgroups"},
        {"--threadgroup", ARGUMENT_TEXT, &g.threadgroup, "X,Y,Z", "threads of a threadgroup"},
        {"--buffer", ARGUMENT_LIST, &g.buffers, "I=FILE", "an array; 0,1=FILE binds one memory twice"},
        {"--bytes", ARGUMENT_LIST, &g.bytes, "I=VALUES",
         "TYPE:VALUE[,TYPE:VALUE...], laid out as a C struct"},
        {"--threadgroup-memory", ARGUMENT_LIST, &g.memory, "I=BYTES", "the length of a threadgroup argument"},
        {"--constant", ARGUMENT_LIST, &g.constants, "I=VALUE", "TYPE:VALUE of a function constant"},
        {"--out", ARGUMENT_LIST, &g.outputs, "I=OUTPUT", "TYPE:SHAPE:FILE.npy; SHAPE is 8,8 or scalar"},
        {"--math-mode", ARGUMENT_TEXT, &g.mode, "MODE", "safe (default), relaxed or fast"},
        {"--include", ARGUMENT_LIST, &g.folders, "DIR", "a folder that #include may read"},
        {"--define", ARGUMENT_LIST, &g.definitions, "N=V", "a macro"},
        {"--device", ARGUMENT_TEXT, &g.device, "DEVICE", "cpu (default) or cuda"},
        {"--check", ARGUMENT_FLAG, &g.check, NULL, "report races and wrong accesses"},
        {"--time", ARGUMENT_NUMBER, &g.repeats, "N", "run N times more: median time and rate"},
        {0},
    };
    const struct arguments arguments = {
        "run",
        "FILE.metal --function NAME --grid X,Y,Z --threadgroup X,Y,Z [OPTION...]",
        "Runs one kernel of a .metal file over arrays of .npy files. TYPE is a name of NumPy or Metal; "
        "bfloat16 is\n"
        "uint16 in a file. An --out starts from zeros, or from the file of its --buffer.",
        table,
        any_word,
        "argument"};
    struct words words;
    int code = arguments_read(&arguments, argc, argv, &words);
    if (code != ARGUMENTS_READ) return code;
    if (words.count != 1) return wrong("FILE.metal", "", "expected one file");

    struct run *r = calloc(1, sizeof *r);
    char *source = r ? read_text(words.word[0]) : NULL;
    smelt_metal_compile_options options = SMELT_METAL_COMPILE_OPTIONS_INIT;
    options.file_name = words.word[0];
    if (!source) {
        code =
            wrong(words.word[0], "", r && errno == EILSEQ ? "expected a text without NUL" : strerror(errno));
    } else {
        r->launch = (smelt_metal_launch)SMELT_METAL_LAUNCH_INIT;
        code = read_given(r, &g, &options);
        if (!code) code = compile_and_run(r, source, g.function, &options, g.repeats);
    }
    for (int k = 0; r && k < r->memories; k++) npy_free(&r->memory[k]);
    free(source);
    free(r);
    return code;
}
