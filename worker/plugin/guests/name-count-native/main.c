/* name-count as a program: lines of JSON in, lines of JSON out; the counting is ../name-count/matcher.c's.
 *
 *   cc -O2 -o count main.c ../name-count/matcher.c
 *
 * It reads the two lines that a worker writes and nothing else: {"open":{"tables":{"people":"PATH"}}}, then blocks
 * {"records":[{"id":7,"name":"Bob"}]}. What it does not understand ends it, with the reason on standard error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../name-count/matcher.h"

static void fail(const char *what) {
    fprintf(stderr, "name-count: %s\n", what);
    exit(1);
}

static void *memory(void *old, size_t kept, size_t bytes) {
    (void)kept;
    return realloc(old, bytes);
}

/* A line that is read from front to back; texts are unescaped where they stand. */
struct line {
    char *at, *end;
};

static void expect(struct line *line, const char *text) {
    size_t length = strlen(text);
    if ((size_t)(line->end - line->at) < length || memcmp(line->at, text, length) != 0) fail("a line it does not understand");
    line->at += length;
}

static int is_next(const struct line *line, char byte) {
    return line->at < line->end && *line->at == byte;
}

static unsigned hex(struct line *line) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        if (line->at == line->end) fail("a text that is cut off");
        char c = *line->at++;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
        if (digit > 15) fail("a character it does not understand");
        value = value << 4 | digit;
    }
    return value;
}

static char *put(char *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* The text that stands next, in quotes; its length in `length`. An escape is never shorter than what it stands for. */
static char *text(struct line *line, size_t *length) {
    expect(line, "\"");
    char *start = line->at, *to = start;
    while (!is_next(line, '"')) {
        if (line->at == line->end) fail("a text without an end");
        char c = *line->at++;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        if (line->at == line->end) fail("a text that is cut off");
        switch (c = *line->at++) {
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u': {
            unsigned value = hex(line);
            if (value >= 0xd800 && value < 0xdc00) {
                expect(line, "\\u");
                value = 0x10000 + ((value - 0xd800) << 10) + (hex(line) - 0xdc00);
            }
            to = put(to, value);
            break;
        }
        default: *to++ = c;
        }
    }
    line->at++;
    *length = (size_t)(to - start);
    return start;
}

/* One field of a CSV row, moved to its own front; the byte behind it, or EOF, in `behind`. */
static size_t field(FILE *file, char **bytes, size_t *room, int *behind) {
    size_t length = 0;
    int quoted = 0, c = getc(file);
    if (c == '"') quoted = 1, c = getc(file);
    for (;; c = getc(file)) {
        if (quoted && c == '"' && (c = getc(file)) != '"') quoted = 0;
        if (!quoted && c == '\r') continue;
        if (c == EOF || (!quoted && (c == ',' || c == '\n'))) break;
        if (length == *room && !(*bytes = realloc(*bytes, *room = *room ? 2 * *room : 256))) fail("no memory");
        (*bytes)[length++] = (char)c;
    }
    *behind = c;
    return length;
}

/* Adds the people of the table: its columns given_name and surname, wherever they stand. */
static void load(struct matcher *matcher, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(strerror(errno));
    char *bytes[2] = {NULL, NULL}, *other = NULL;
    size_t room[2] = {0, 0}, length[2] = {0, 0}, other_room = 0;
    int place[2] = {-1, -1}, columns = 0, behind = ',';
    while (behind == ',') {
        size_t name = field(file, &other, &other_room, &behind);
        if (name == 10 && memcmp(other, "given_name", 10) == 0) place[0] = columns;
        if (name == 7 && memcmp(other, "surname", 7) == 0) place[1] = columns;
        columns++;
    }
    if (place[0] < 0 || place[1] < 0) fail("the table people needs columns given_name and surname");
    for (;;) {
        for (int column = 0; column < columns; column++) {
            int which = column == place[0] ? 0 : column == place[1] ? 1 : 2;
            size_t size = which < 2 ? field(file, &bytes[which], &room[which], &behind) : field(file, &other, &other_room, &behind);
            if (which < 2) length[which] = size;
            if (column == 0 && size == 0 && behind == EOF) return (void)fclose(file);
            if ((behind == ',') != (column + 1 < columns)) fail("a row of people has another number of fields");
        }
        if (!matcher_add_person(matcher, bytes[0] ? bytes[0] : "", length[0], bytes[1] ? bytes[1] : "", length[1]))
            fail("no memory");
    }
}

static long long *ids;
static size_t ids_room;

/* The answer, which is written at once: a line in many pieces wakes the worker for each of them. */
static char *out;
static size_t out_size, out_room;

/* Makes room for `more` bytes of the answer. */
static void reserve(size_t more) {
    if (more <= out_room - out_size) return;
    while (out_room - out_size < more) out_room = out_room ? 2 * out_room : 1 << 16;
    if (!(out = realloc(out, out_room))) fail("no memory");
}

static void say(const char *text) {
    size_t length = strlen(text);
    reserve(length);
    memcpy(out + out_size, text, length);
    out_size += length;
}

static void say_number(long long number) {
    char digits[20], *first = digits + sizeof digits;
    unsigned long long left = number < 0 ? 0ull - (unsigned long long)number : (unsigned long long)number;
    do {
        *--first = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) say("-");
    size_t length = (size_t)(digits + sizeof digits - first);
    reserve(length);
    memcpy(out + out_size, first, length);
    out_size += length;
}

/* Reads a block and answers it. */
static void answer(struct matcher *matcher, struct line line) {
    size_t records = 0;
    matcher_begin(matcher);
    expect(&line, "{\"records\":[");
    while (!is_next(&line, ']')) {
        if (records > 0) expect(&line, ",");
        expect(&line, "{\"id\":");
        if (records == ids_room && !(ids = realloc(ids, (ids_room = ids_room ? 2 * ids_room : 1024) * sizeof *ids)))
            fail("no memory");
        ids[records++] = strtoll(line.at, &line.at, 10);
        expect(&line, ",\"name\":");
        size_t length;
        char *name = text(&line, &length);
        expect(&line, "}");
        if (!matcher_add_record(matcher, name, length)) fail("no memory");
    }
    expect(&line, "]}");
    if (!matcher_count(matcher)) fail("no memory");
    out_size = 0;
    say("{\"results\":[");
    for (size_t record = 0; record < records; record++) {
        say(record ? ",{\"id\":" : "{\"id\":");
        say_number(ids[record]);
        say(",\"ok\":{\"name_count\":");
        say_number(matcher_name_count(matcher, record));
        say(",\"word_counts\":\"");
        reserve(matcher_word_counts_room(matcher, record));
        out_size += matcher_word_counts(matcher, record, out + out_size);
        say("\"}}");
    }
    say("]}\n");
    fwrite(out, 1, out_size, stdout);
    fflush(stdout);
}

int main(void) {
    struct matcher *matcher = matcher_new(memory);
    char *bytes = NULL;
    size_t room = 0;
    ssize_t length = getline(&bytes, &room, stdin);
    if (!matcher || length < 1) fail("no line about the data");
    struct line line = {bytes, bytes + length - 1};
    expect(&line, "{\"open\":{\"tables\":{\"people\":");
    size_t path_length;
    char *path = text(&line, &path_length);
    expect(&line, "}}}");
    path[path_length] = '\0';
    load(matcher, path);
    puts("{\"opened\":true}");
    fflush(stdout);
    while ((length = getline(&bytes, &room, stdin)) > 0) answer(matcher, (struct line){bytes, bytes + length - 1});
    return 0;
}
