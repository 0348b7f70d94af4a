/* The plugin interface of Nightshift for guests in C: one header, no library. docs/PLUGINS.md is its page.
 *
 * Build: clang --target=wasm32 -O2 -mbulk-memory -nostdlib -ffreestanding -Wl,--no-entry -Wl,--strip-all plugin.c -o plugin.wasm
 *
 * A plugin includes this once, and defines ns_process. Memory comes from a bump allocator: what ns_take gives during a
 * block is taken back before the next; call ns_keep in open to keep everything taken so far.
 */
#ifndef NIGHTSHIFT_H
#define NIGHTSHIFT_H

#include <stddef.h>
#include <stdint.h>

#define NS_EXPORT(name) __attribute__((export_name(#name), used))
#define NS_IMPORT(name) __attribute__((import_module("nightshift"), import_name(#name)))

enum ns_tag { NS_NULL = 0, NS_INTEGER = 1, NS_REAL = 2, NS_TEXT = 3 };

struct ns_text {
    const char *bytes;
    uint32_t length;
};

struct ns_value {
    uint8_t tag;
    union {
        int64_t integer;
        double real;
        struct ns_text text;
    };
};

/* Bytes that are read one after the other. */
struct ns_reader {
    const uint8_t *at;
};

/* Bytes that are written one after the other; they move as they grow. */
struct ns_writer {
    uint8_t *bytes;
    size_t length, room;
};

/* What a plugin defines: reads `columns` values for each of `records` records, each behind its id, and writes the answer. */
void ns_process(struct ns_reader *block, uint32_t columns, uint32_t records, struct ns_writer *answer);

/* Memory. */

extern unsigned char __heap_base;
static uintptr_t ns_start, ns_next;

/* Memory aligned for any value; the plugin traps when it has used all that it may have. */
static void *ns_take(size_t bytes) {
    if (!ns_next) ns_start = ns_next = (uintptr_t)&__heap_base;
    uintptr_t place = (ns_next + 15) & ~(uintptr_t)15;
    size_t there = __builtin_wasm_memory_size(0) << 16;
    if (bytes > SIZE_MAX - 65535 - place) __builtin_trap();
    if (place + bytes > there) {
        size_t pages = (place + bytes - there + 65535) >> 16;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) __builtin_trap();
    }
    ns_next = place + bytes;
    return (void *)place;
}

/* What was taken so far stays from block to block. */
static inline void ns_keep(void) {
    ns_start = ns_next;
}

/* Reading. */

static inline uint32_t ns_read_u32(struct ns_reader *reader) {
    uint32_t value;
    __builtin_memcpy(&value, reader->at, 4);
    reader->at += 4;
    return value;
}

static inline int64_t ns_read_id(struct ns_reader *reader) {
    int64_t value;
    __builtin_memcpy(&value, reader->at, 8);
    reader->at += 8;
    return value;
}

static inline struct ns_value ns_read(struct ns_reader *reader) {
    struct ns_value value = {.tag = *reader->at++};
    if (value.tag == NS_INTEGER || value.tag == NS_REAL) {
        value.integer = ns_read_id(reader);
    } else if (value.tag == NS_TEXT) {
        value.text.length = ns_read_u32(reader);
        value.text.bytes = (const char *)reader->at;
        reader->at += value.text.length;
    }
    return value;
}

/* Writing. */

static inline uint8_t *ns_room(struct ns_writer *writer, size_t more) {
    if (more > writer->room - writer->length) {
        size_t room = writer->room < 4096 ? 4096 : 2 * writer->room;
        while (room - writer->length < more) room *= 2;
        uint8_t *bytes = ns_take(room);
        if (writer->length > 0) __builtin_memcpy(bytes, writer->bytes, writer->length);
        writer->bytes = bytes;
        writer->room = room;
    }
    writer->length += more;
    return writer->bytes + writer->length - more;
}

static inline void ns_write_byte(struct ns_writer *writer, uint8_t byte) {
    *ns_room(writer, 1) = byte;
}

static inline void ns_write_u32(struct ns_writer *writer, uint32_t value) {
    __builtin_memcpy(ns_room(writer, 4), &value, 4);
}

static inline void ns_write_i64(struct ns_writer *writer, int64_t value) {
    __builtin_memcpy(ns_room(writer, 8), &value, 8);
}

static inline void ns_write_text_bytes(struct ns_writer *writer, const char *bytes, size_t length) {
    ns_write_u32(writer, (uint32_t)length);
    if (length > 0) __builtin_memcpy(ns_room(writer, length), bytes, length);
}

/* Before all results. */
static inline void ns_write_answer(struct ns_writer *writer, uint32_t columns, uint32_t results) {
    ns_write_byte(writer, 0);
    ns_write_u32(writer, columns);
    ns_write_u32(writer, results);
}

/* Before the values of a record: one for each column of [output]. */
static inline void ns_write_result(struct ns_writer *writer, int64_t id) {
    ns_write_i64(writer, id);
    ns_write_byte(writer, 0);
}

/* Instead of a record's values. */
static inline void ns_write_error(struct ns_writer *writer, int64_t id, const char *why, size_t length) {
    ns_write_i64(writer, id);
    ns_write_byte(writer, 1);
    ns_write_text_bytes(writer, why, length);
}

static inline void ns_write_null(struct ns_writer *writer) {
    ns_write_byte(writer, NS_NULL);
}

static inline void ns_write_integer(struct ns_writer *writer, int64_t value) {
    ns_write_byte(writer, NS_INTEGER);
    ns_write_i64(writer, value);
}

static inline void ns_write_real(struct ns_writer *writer, double value) {
    ns_write_byte(writer, NS_REAL);
    __builtin_memcpy(ns_room(writer, 8), &value, 8);
}

static inline void ns_write_text(struct ns_writer *writer, const char *bytes, size_t length) {
    ns_write_byte(writer, NS_TEXT);
    ns_write_text_bytes(writer, bytes, length);
}

/* What the host calls. */

NS_EXPORT(nightshift_abi) uint32_t ns_abi(void) {
    return 1;
}

/* A place for the next block; everything of the last is given up. */
NS_EXPORT(alloc) void *ns_alloc(size_t bytes) {
    if (ns_start) ns_next = ns_start;
    return ns_take(bytes);
}

NS_EXPORT(process) uint64_t ns_process_block(const uint8_t *block, size_t length) {
    (void)length;
    struct ns_reader reader = {block};
    struct ns_writer answer = {0};
    uint32_t columns = ns_read_u32(&reader), records = ns_read_u32(&reader);
    ns_process(&reader, columns, records, &answer);
    return (uint64_t)(uintptr_t)answer.bytes << 32 | answer.length;
}

#endif
