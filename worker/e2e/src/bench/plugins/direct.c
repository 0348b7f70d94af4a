/* The matcher of name-count called directly, to compare its plugins with: direct PEOPLE NAMES BLOCK.
 *
 * PEOPLE has a line "GIVEN_NAME,SURNAME" for each person, NAMES a name a line. Reads both, then counts the names block by
 * block. Prints the CPU time of the counting in microseconds, and all counts summed up.
 */
#include "matcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *memory(void *old, size_t kept, size_t bytes) {
    (void)kept;
    return realloc(old, bytes);
}

/* The whole file, and its length. */
static char *whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    long size = ftell(file);
    rewind(file);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) return NULL;
    fclose(file);
    *length = (size_t)size;
    return text;
}

int main(int arguments, char **argument) {
    size_t people_length, names_length;
    char *people = arguments == 4 ? whole(argument[1], &people_length) : NULL;
    char *names = people ? whole(argument[2], &names_length) : NULL;
    struct matcher *matcher = matcher_new(memory);
    if (!names || !matcher) return 1;
    for (char *at = people, *end = people + people_length; at < end;) {
        char *comma = memchr(at, ',', (size_t)(end - at)), *line = memchr(at, '\n', (size_t)(end - at));
        if (!comma || !line || comma > line) return 1;
        if (!matcher_add_person(matcher, at, (size_t)(comma - at), comma + 1, (size_t)(line - comma - 1))) return 1;
        at = line + 1;
    }
    size_t block = strtoul(argument[3], NULL, 10);
    unsigned long long sum = 0;
    static char words[1 << 16];
    clock_t begun = clock();
    for (char *at = names, *end = names + names_length; at < end;) {
        size_t records = 0;
        matcher_begin(matcher);
        for (; records < block && at < end; records++) {
            char *line = memchr(at, '\n', (size_t)(end - at));
            if (!line || !matcher_add_record(matcher, at, (size_t)(line - at))) return 1;
            at = line + 1;
        }
        if (!matcher_count(matcher)) return 1;
        for (size_t record = 0; record < records; record++) {
            if (matcher_word_counts_room(matcher, record) > sizeof words) return 1;
            sum += matcher_name_count(matcher, record) + matcher_word_counts(matcher, record, words);
        }
    }
    printf("%.0f %llu\n", (double)(clock() - begun) * 1e6 / CLOCKS_PER_SEC, sum);
    return 0;
}
