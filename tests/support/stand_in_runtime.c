/* A stand-in for librknnrt.so: the calls that rockpress makes, doing what a file of settings says.
 *
 * ROCKPRESS_STAND_IN names the file; a line is a key and its value (see stand_in_board.py). It is
 * written to the names and layouts of the public C interface, and computes nothing: an output is
 * what a folder of answers has for the inputs' hash, else a pattern made of that hash.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "2.3.2"
#endif
#define MAX_CONTEXTS 64
#define MAX_TENSORS 64
#define MILLION 1000000LL
#define FNV_BASIS 0xcbf29ce484222325ULL /* FNV-1a */
#define FNV_PRIME 0x100000001b3ULL

typedef uint64_t rknn_context;
typedef struct {
    uint32_t index, n_dims, dims[16];
    char name[256];
    uint32_t n_elems, size;
    int fmt, type, qnt_type;
    int8_t fl;
    int32_t zp;
    float scale;
    uint32_t w_stride, size_with_stride;
    uint8_t pass_through;
    uint32_t h_stride;
} tensor_attr;
typedef struct { uint32_t index; void *buf; uint32_t size; uint8_t pass_through; int type, fmt; } input_t;
typedef struct { uint8_t want_float, is_prealloc; uint32_t index; void *buf; uint32_t size; } output_t;
typedef struct { uint32_t weight, internal; uint64_t dma; uint32_t sram, free_sram, reserved[10]; } mem_size;
typedef struct { char *data; uint64_t length; } perf_detail;
typedef struct { uint64_t hash, model; long runs; int64_t late_ns, run_us; int mask, layers, used, shaped; } context_t;

const char stand_in_version[] = "librknnrt version: " VERSION " (stand-in)";

static context_t contexts[MAX_CONTEXTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total_runs;
static int64_t last_run_ns;
static int is_power_watched;
static char table[1 << 16];

/* ---- settings ---- */

static const char *setting(const char *key, int place, char *line, size_t size) {
    const char *path = getenv("ROCKPRESS_STAND_IN");
    FILE *file = path ? fopen(path, "r") : NULL;
    const char *value = NULL;
    size_t length = strlen(key);
    while (file && !value && fgets(line, (int)size, file))
        if (!strncmp(line, key, length) && line[length] == ' ' && place-- == 0) {
            line[strcspn(line, "\n")] = 0;
            value = line + length + 1;
        }
    if (file) fclose(file);
    return value;
}

static long long number(const char *key, long long otherwise) {
    char line[1024];
    const char *value = setting(key, 0, line, sizeof line);
    return value ? atoll(value) : otherwise;
}

static int is_named(const char *key, const char *function) {
    char line[1024];
    const char *value = setting(key, 0, line, sizeof line);
    return value && !strcmp(value, function);
}

/* What every call does first: print, hang, crash, end the process, or return an error. */
static int called(const char *function) {
    char key[128], line[1024];
    snprintf(key, sizeof key, "print_%s", function);
    for (int i = 0; setting(key, i, line, sizeof line); i++)
        fprintf(stderr, "%s\n", setting(key, i, line, sizeof line));
    if (is_named("hang", function)) for (;;) pause();
    if (is_named("crash", function)) raise(SIGSEGV);
    if (is_named("exit", function)) _exit(7);
    snprintf(key, sizeof key, "fail_%s", function);
    return total_runs >= number("fail_after", 0) ? (int)number(key, 0) : 0;
}

/* ---- time, clocks and power ---- */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 * MILLION + now.tv_nsec;
}

/* Sleep until a moment; return by how much it was missed. */
static int64_t sleep_until(int64_t deadline_ns) {
    struct timespec moment = {deadline_ns / (1000 * MILLION), deadline_ns % (1000 * MILLION)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) == EINTR) {}
    return now_ns() - deadline_ns;
}

static void write_number(const char *key, long long value) {
    char line[1024], text[32];
    const char *path = setting(key, 0, line, sizeof line);
    int file = path ? open(path, O_WRONLY) : -1;
    if (file < 0) return;
    /* of one width, so that who reads meanwhile sees the old one or the new one */
    int length = snprintf(text, sizeof text, "%-15lld\n", value);
    if (pwrite(file, text, (size_t)length, 0) != length) perror("pwrite");
    close(file);
}

static void *watch_power(void *nothing) {
    for (int is_busy = 1;; usleep(10000)) {
        int busy = now_ns() - __atomic_load_n(&last_run_ns, __ATOMIC_RELAXED) < 150 * MILLION;
        if (busy != is_busy)
            write_number("power_file", number(busy ? "busy_uw" : "idle_uw", 0));
        is_busy = busy;
    }
    return nothing;
}

static void note_run(void) {
    char line[1024];
    pthread_mutex_lock(&lock);
    total_runs++;
    __atomic_store_n(&last_run_ns, now_ns(), __ATOMIC_RELAXED);
    if (!is_power_watched && setting("power_file", 0, line, sizeof line)) {
        pthread_t thread;
        is_power_watched = 1;
        write_number("power_file", number("busy_uw", 0));
        pthread_create(&thread, NULL, watch_power, NULL);
    }
    if (total_runs == number("drop_after", -1)) write_number("clock_file", number("drop_hz", 1));
    pthread_mutex_unlock(&lock);
}

/* ---- tensors: "input NAME TYPE FORMAT SHAPE SCALE ZERO_POINT", shape as 1x8x8x3 ---- */

static const int sizes[] = {4, 2, 1, 1, 2, 2, 4, 4, 8, 1, 1, 2};
static const char *types[] = {"float32", "float16", "int8", "uint8", "int16", "uint16",
                              "int32", "uint32", "int64", "bool", "int4", "bfloat16"};
static const char *formats[] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};

static int index_of(const char **words, int count, const char *word) {
    for (int i = 0; i < count; i++)
        if (!strcmp(words[i], word)) return i;
    return 0;
}

/* A key of one model alone, "output@HASH", where there is one, else that of all models; of a model
 * whose shapes were chosen "current_output". */
static const char *key_of(const context_t *context, const char *key, char *own, size_t size) {
    char line[1024];
    if (context->shaped) {
        snprintf(own, size, "current_%s", key);
        if (setting(own, 0, line, sizeof line)) return own;
    }
    snprintf(own, size, "%s@%016llx", key, (unsigned long long)context->model);
    return setting(own, 0, line, sizeof line) ? own : key;
}

static int read_tensor(const context_t *context, const char *direction, uint32_t index,
                       tensor_attr *attr) {
    char line[1024], type[16], format[16], shape[256], own[64];
    const char *key = key_of(context, direction, own, sizeof own);
    const char *value = setting(key, (int)index, line, sizeof line);
    float scale = 0;
    int zero_point = 0;
    memset(attr, 0, sizeof *attr);
    attr->index = index;
    if (!value || sscanf(value, "%255s %15s %15s %255s %f %d", attr->name, type, format, shape,
                         &scale, &zero_point) < 4) return -5;
    attr->n_elems = 1;
    char *rest = shape; /* not strtok: contexts of several threads read here at once */
    for (char *size; attr->n_dims < 16 && (size = strtok_r(rest, "x", &rest));) {
        attr->dims[attr->n_dims] = (uint32_t)atoi(size);
        attr->n_elems *= attr->dims[attr->n_dims++];
    }
    attr->type = index_of(types, 12, type);
    attr->fmt = index_of(formats, 4, format);
    attr->size = attr->n_elems * (uint32_t)sizes[attr->type];
    if (scale != 0) { attr->qnt_type = 2; attr->scale = scale; attr->zp = zero_point; }
    return 0;
}

static uint32_t count_tensors(const context_t *context, const char *direction) {
    char line[1024], own[64];
    const char *key = key_of(context, direction, own, sizeof own);
    uint32_t count = 0;
    while (count < MAX_TENSORS && setting(key, (int)count, line, sizeof line)) count++;
    return count;
}

/* ---- the interface ---- */

int rknn_init(rknn_context *context, void *model, uint32_t size, uint32_t flag, void *extend) {
    int status = called("rknn_init");
    (void)extend;
    if (status) return status;
    if (!model || !size) return -6;
    usleep((useconds_t)number("init_us", 0));
    uint64_t hash = FNV_BASIS;
    for (uint32_t k = 0; k < size; k++) hash = (hash ^ ((uint8_t *)model)[k]) * FNV_PRIME;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < MAX_CONTEXTS; i++)
        if (!contexts[i].used) {
            if (i > number("most_contexts", MAX_CONTEXTS)) break;
            memset(&contexts[i], 0, sizeof contexts[i]);
            contexts[i].used = 1;
            contexts[i].model = hash;
            contexts[i].layers = !!(flag & 8);
            *context = (rknn_context)i;
            pthread_mutex_unlock(&lock);
            return 0;
        }
    pthread_mutex_unlock(&lock);
    return -4;
}

int rknn_destroy(rknn_context context) {
    contexts[context].used = 0;
    return called("rknn_destroy");
}

int rknn_set_core_mask(rknn_context context, int mask) {
    int status = called("rknn_set_core_mask");
    if (!status && mask >= 1 << number("cores", 1)) status = -5;
    if (!status) contexts[context].mask = mask;
    return status;
}

static int query(context_t *context, int command, void *info) {
    char line[1024];
    if (command == 0) {
        ((uint32_t *)info)[0] = count_tensors(context, "input");
        ((uint32_t *)info)[1] = count_tensors(context, "output");
    } else if (command == 1 || command == 2) {
        tensor_attr *attr = info;
        return read_tensor(context, command == 1 ? "input" : "output", attr->index, attr);
    } else if (command == 3) {
        const char *path = setting("layer_table", 0, line, sizeof line);
        FILE *file = path && context->layers ? fopen(path, "r") : NULL;
        if (!file) return -5;
        ((perf_detail *)info)->length = fread(table, 1, sizeof table, file);
        ((perf_detail *)info)->data = table;
        fclose(file);
    } else if (command == 4) {
        *(int64_t *)info = context->run_us;
    } else if (command == 5) {
        const char *value = setting("api_version", 0, line, sizeof line);
        snprintf(info, 256, "%s", value ? value : VERSION " (stand-in)");
        value = setting("driver_version", 0, line, sizeof line);
        snprintf((char *)info + 256, 256, "%s", value ? value : "0.9.8");
    } else if (command == 6) {
        mem_size *memory = info;
        memset(memory, 0, sizeof *memory);
        memory->weight = (uint32_t)number("weight_bytes", 0);
        memory->internal = (uint32_t)number("internal_bytes", 0);
        memory->dma = (uint64_t)number("dma_bytes", 0);
    } else {
        return -5;
    }
    return 0;
}

int rknn_query(rknn_context context, int command, void *info, uint32_t size) {
    int asked = command;
    static const uint32_t expected[] = {8, 376, 376, 16, 8, 512, 64};
    char name[32];
    int status = called("rknn_query");
    if (status) return status;
    snprintf(name, sizeof name, "rknn_query_%d", command);
    if ((status = called(name))) return status;
    if (command == 14 || command == 15) command -= 13; /* the current input or output */
    if (asked != command && !contexts[context].shaped) return -5;
    if (command < 0 || command > 6 || size != expected[command]) return -5;
    return query(&contexts[context], command, info);
}

int rknn_inputs_set(rknn_context context, uint32_t count, input_t inputs[]) {
    int status = called("rknn_inputs_set");
    uint64_t hash = FNV_BASIS;
    if (status) return status;
    if (count != count_tensors(&contexts[context], "input")) return -8;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < inputs[i].size; k++)
            hash = (hash ^ ((uint8_t *)inputs[i].buf)[k]) * FNV_PRIME;
    contexts[context].hash = hash;
    if (number("set_us", 0)) sleep_until(now_ns() + 1000 * number("set_us", 0));
    return 0;
}

int rknn_run(rknn_context handle, void *extend) {
    context_t *context = &contexts[handle];
    int64_t begin = now_ns(), us = number("run_us", 0);
    int status = called("rknn_run");
    (void)extend;
    if (status) return status;
    note_run();
    if (total_runs > number("drop_after", 1LL << 40)) us = number("dropped_run_us", us);
    if (context->runs++ == 0) us = number("first_run_us", us);
    long leak = (long)number("leak_bytes", 0);
    if (leak) {
        char *memory = malloc((size_t)leak);
        if (memory) memset(memory, 1, (size_t)leak);
    }
    /* what the last sleep was too long this one is shorter, so that the mean is right */
    if (us) context->late_ns = sleep_until(begin + 1000 * us - context->late_ns);
    if (context->late_ns > 1000 * us) context->late_ns = 1000 * us;
    context->run_us = us;
    __atomic_store_n(&last_run_ns, now_ns(), __ATOMIC_RELAXED);
    return 0;
}

/* Fill a native output from the answer to these inputs, or with a pattern that depends on them. */
static void answer(context_t *context, uint32_t index, uint8_t *bytes, uint32_t size) {
    char line[1024], path[1200];
    char own[64];
    const char *folder = setting(key_of(context, "answers", own, sizeof own), 0, line, sizeof line);
    FILE *file = NULL;
    if (folder) {
        snprintf(path, sizeof path, "%s/%016llx.%u", folder, (unsigned long long)context->hash, index);
        file = fopen(path, "rb");
    }
    for (uint32_t k = 0; k < size; k++) bytes[k] = (uint8_t)((context->hash >> (k % 8 * 8)) + k);
    if (file) {
        if (fread(bytes, 1, size, file) != size) fprintf(stderr, "the answer %s is short\n", path);
        fclose(file);
    } else if (folder) {
        fprintf(stderr, "there is no answer %s\n", path);
    }
}

static void to_float(const tensor_attr *attr, const uint8_t *bytes, float *values) {
    for (uint32_t k = 0; k < attr->n_elems; k++) {
        float value = 0;
        if (attr->type == 0) memcpy(&value, bytes + 4 * k, 4);
        else if (attr->type == 2) value = (float)((const int8_t *)bytes)[k];
        else if (attr->type == 3) value = (float)bytes[k];
        values[k] = attr->qnt_type ? (value - (float)attr->zp) * attr->scale : value;
    }
}

int rknn_outputs_get(rknn_context context, uint32_t count, output_t outputs[], void *extend) {
    int status = called("rknn_outputs_get");
    (void)extend;
    if (status) return status;
    if (count != count_tensors(&contexts[context], "output")) return -9;
    if (number("get_us", 0)) sleep_until(now_ns() + 1000 * number("get_us", 0));
    for (uint32_t i = 0; i < count; i++) {
        tensor_attr attr;
        read_tensor(&contexts[context], "output", i, &attr);
        uint32_t size = outputs[i].want_float ? 4 * attr.n_elems : attr.size;
        uint8_t *bytes = malloc(attr.size + 1), *given = outputs[i].buf;
        answer(&contexts[context], i, bytes, attr.size);
        if (outputs[i].is_prealloc && outputs[i].size < size) return -9;
        if (!outputs[i].is_prealloc) given = malloc(size + 1);
        if (outputs[i].want_float) to_float(&attr, bytes, (float *)given);
        else memcpy(given, bytes, size);
        free(bytes);
        outputs[i].buf = given;
        outputs[i].size = size + (uint32_t)number("more_output_bytes", 0);
    }
    return 0;
}

int rknn_outputs_release(rknn_context context, uint32_t count, output_t outputs[]) {
    int status = called("rknn_outputs_release");
    (void)context;
    for (uint32_t i = 0; i < count; i++)
        if (!outputs[i].is_prealloc) { free(outputs[i].buf); outputs[i].buf = NULL; }
    return status;
}

int rknn_dup_context(rknn_context *context, rknn_context *copy) {
    (void)context;
    return rknn_init(copy, "model", 5, 0, NULL);
}

/* Take the shapes of the settings "current_input", and no others. */
int rknn_set_input_shapes(rknn_context handle, uint32_t count, tensor_attr attrs[]) {
    context_t *context = &contexts[handle];
    int status = called("rknn_set_input_shapes");
    tensor_attr attr;
    if (status) return status;
    if (count != count_tensors(context, "input")) return -8;
    context->shaped = 1;
    for (uint32_t i = 0; i < count && !status; i++)
        if (read_tensor(context, "input", i, &attr) || attr.n_dims != attrs[i].n_dims ||
            memcmp(attr.dims, attrs[i].dims, attr.n_dims * sizeof *attr.dims)) status = -5;
    context->shaped = !status;
    return status;
}
