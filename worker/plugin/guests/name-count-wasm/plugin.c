/* name-count as a WebAssembly module: the people are asked for once, when the plugin is opened; then each block is counted
 * in one pass over their names (matcher.h). */
#include "../nightshift.h"
#include "../name-count/matcher.h"

NS_IMPORT(query)
void query(const char *sql, size_t sql_length, const uint8_t *parameters, size_t parameters_length, uint8_t *place,
           size_t room, uint32_t context);

static const char PEOPLE[] = "SELECT given_name, surname FROM people";
/* The rows of the query come in lots of this size. */
static uint8_t lot[256 << 10];
static struct matcher *matcher;

static int grown;

/* The matcher's memory outlives the block that it grows in: see the end of ns_process. */
static void *kept(void *old, size_t used, size_t bytes) {
    uint8_t *memory = ns_take(bytes);
    grown = 1;
    if (used > 0) __builtin_memcpy(memory, old, used);
    return memory;
}

NS_EXPORT(rows) uint32_t rows(uint32_t context, const uint8_t *bytes, size_t length) {
    (void)context, (void)length;
    struct ns_reader reader = {bytes};
    uint32_t columns = ns_read_u32(&reader), count = ns_read_u32(&reader);
    for (uint32_t row = 0; row < count; row++) {
        struct ns_value given_name = ns_read(&reader), surname = ns_read(&reader);
        for (uint32_t more = 2; more < columns; more++) ns_read(&reader);
        if (!matcher_add_person(matcher, given_name.text.bytes, given_name.text.length, surname.text.bytes,
                                surname.text.length))
            return 1;
    }
    return 0;
}

NS_EXPORT(open) uint64_t open(void) {
    matcher = matcher_new(kept);
    query(PEOPLE, sizeof PEOPLE - 1, NULL, 0, lot, sizeof lot, 0);
    ns_keep();
    return 0;
}

void ns_process(struct ns_reader *block, uint32_t columns, uint32_t records, struct ns_writer *answer) {
    int64_t *ids = ns_take(records * sizeof *ids);
    matcher_begin(matcher);
    for (uint32_t i = 0; i < records; i++) {
        ids[i] = ns_read_id(block);
        struct ns_value name = ns_read(block);
        for (uint32_t more = 1; more < columns; more++) ns_read(block);
        matcher_add_record(matcher, name.text.bytes, name.text.length);
    }
    matcher_count(matcher);
    ns_write_answer(answer, 2, records);
    for (uint32_t i = 0; i < records; i++) {
        char *counts = ns_take(matcher_word_counts_room(matcher, i));
        ns_write_result(answer, ids[i]);
        ns_write_integer(answer, matcher_name_count(matcher, i));
        ns_write_text(answer, counts, matcher_word_counts(matcher, i, counts));
    }
    /* It doubles what it has, so that this happens seldom. */
    if (grown) ns_keep();
    grown = 0;
}
