/* A process plugin that gives every record's `line` back as `echoed`: the least a program can do.
 *
 * It reads no JSON but what it is sent, {"records":[{"id":1,"line":"..."},...]} on one line, and copies texts as they are
 * written, escapes included.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Copies a text from behind its opening quote to its closing one; the byte behind that. */
static const char *copy_text(const char *from, char **to) {
    while (*from != '"') {
        if (*from == '\\') *(*to)++ = *from++;
        *(*to)++ = *from++;
    }
    return from + 1;
}

static void append(char **to, const char *text) {
    size_t length = strlen(text);
    memcpy(*to, text, length);
    *to += length;
}

int main(void) {
    char *line = NULL, *answer = NULL;
    size_t room = 0, answer_room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        /* No record's answer is more than twice as long as the record. */
        size_t needed = 2 * (size_t)length + 64;
        if (needed > answer_room && !(answer = realloc(answer, answer_room = needed))) return 1;
        char *to = answer;
        append(&to, "{\"results\":[");
        for (const char *at = line; (at = strstr(at, "{\"id\":"));) {
            if (to[-1] != '[') *to++ = ',';
            append(&to, "{\"id\":");
            for (at += strlen("{\"id\":"); *at != ','; at++) *to++ = *at;
            if (strncmp(at, ",\"line\":\"", strlen(",\"line\":\"")) != 0) return 2;
            append(&to, ",\"ok\":{\"echoed\":\"");
            at = copy_text(at + strlen(",\"line\":\""), &to);
            append(&to, "\"}}");
        }
        append(&to, "]}\n");
        if (fwrite(answer, 1, (size_t)(to - answer), stdout) != (size_t)(to - answer) || fflush(stdout)) return 3;
    }
    return 0;
}
