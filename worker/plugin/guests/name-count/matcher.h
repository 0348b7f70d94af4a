/* Counts the people whose name contains a term, for a whole block of terms in one pass over all names.
 *
 * What counts is what the SQL sample counts (query.sqlite.sql): a person's name is given name, blank and surname, without
 * blanks at its ends; upper and lower case of ASCII letters are the same; a term is found anywhere in a name; each person
 * counts once for a term, and the empty term is in every name.
 *
 * Needs no library: memory comes from its caller, nothing is read or written but what the caller hands in. The native
 * program and the WebAssembly module are built from it.
 */
#ifndef NIGHTSHIFT_MATCHER_H
#define NIGHTSHIFT_MATCHER_H

#include <stddef.h>
#include <stdint.h>

/* Gives `bytes` of memory (aligned for any value) that begin with the first `kept` bytes of `old`, which is not used any
 * more; NULL when there is none. `old` is NULL, and `kept` 0, for new memory. */
typedef void *(*matcher_memory)(void *old, size_t kept, size_t bytes);

struct matcher;

/* A matcher without people; NULL when there is no memory. It lives as long as its program. */
struct matcher *matcher_new(matcher_memory memory);

/* Adds a person, once for each row of the table; 0 when there is no memory. */
int matcher_add_person(struct matcher *matcher, const char *given_name, size_t given_name_length, const char *surname,
                       size_t surname_length);

/* Begins a new block: the records of the last are forgotten, the people are not. */
void matcher_begin(struct matcher *matcher);

/* Adds a record of the block; its number is that of the records before it. 0 when there is no memory. */
int matcher_add_record(struct matcher *matcher, const char *name, size_t length);

/* Counts for all records of the block; 0 when there is no memory. */
int matcher_count(struct matcher *matcher);

/* After matcher_count: the people whose name contains the record's whole name. */
uint32_t matcher_name_count(const struct matcher *matcher, size_t record);

/* After matcher_count: the bytes that matcher_word_counts writes at most. */
size_t matcher_word_counts_room(const struct matcher *matcher, size_t record);

/* After matcher_count: writes the counts of the record's words in their order, "52 3"; how many bytes that is. */
size_t matcher_word_counts(const struct matcher *matcher, size_t record, char *text);

#endif
