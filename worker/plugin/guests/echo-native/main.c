/* The smallest program that is a plugin: it gives each text back as it stands on the line, escapes and all.
 *
 *   cc -O2 -o echo main.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char RECORDS[] = "{\"records\":[", ID[] = "{\"id\":", SAID[] = ",\"said\":";

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        const char *at = line + strlen(RECORDS), *separator = "";
        fputs("{\"results\":[", stdout);
        while (*at != ']') {
            const char *id = at + strlen(ID), *behind = strchr(id, ','), *text = behind + strlen(SAID), *end = text + 1;
            while (*end != '"') end += *end == '\\' ? 2 : 1;
            end++;
            printf("%s{\"id\":%.*s,\"ok\":{\"heard\":", separator, (int)(behind - id), id);
            fwrite(text, 1, (size_t)(end - text), stdout);
            fputs("}}", stdout);
            separator = ",";
            at = end + 1;
            if (*at == ',') at++;
        }
        fputs("]}\n", stdout);
        fflush(stdout);
    }
    free(line);
    return 0;
}
