/* An Aho-Corasick automaton over the terms of a block, run once over all names.
 *
 * 1. The terms are laid into a trie level by level, so that a node's number is higher than those of all shorter prefixes
 *    and its fallback (the longest shorter suffix that is in the trie) is known when it is made.
 * 2. The names are read byte by byte. Each node on the way stands for the longest suffix that some term begins with; the
 *    terms that end there are found along the fallbacks.
 *
 * Edges are in one hash table, so memory grows with the bytes of the terms, whatever these bytes are. A term longer than
 * every name is never laid into the trie.
 */
#include "matcher.h"

#define ROOT 0u
/* The node of a term that no name can contain. */
#define NOWHERE UINT32_MAX
/* Nodes are numbered in so many bits, that an edge fits into 64: parent, byte, child. */
#define NODE_BITS 28
#define MOST_NODES (1u << NODE_BITS)
/* Digits of the highest count, and a blank. */
#define COUNT_ROOM 11

struct node {
    /* Which bytes lead to a child, by their last six bits: most that are asked for lead to none. */
    uint64_t letters;
    /* Node of the longest proper suffix. */
    uint32_t fallback;
    /* The nearest node, this one or along the fallbacks, where a term ends; ROOT for none. */
    uint32_t ending;
    /* The last person counted here, from 1. */
    uint32_t person;
    /* How many people were. */
    uint32_t count;
};

struct term {
    size_t start, end;
    uint32_t node;
};

/* An array that grows; `size` and `room` in bytes. */
struct buffer {
    char *bytes;
    size_t size, room;
};

struct matcher {
    matcher_memory memory;
    size_t longest_name;
    struct buffer names;     /* text of all names, one after the other */
    struct buffer name_ends; /* size_t for each person */
    struct buffer texts;     /* text of the block's records */
    struct buffer terms;     /* struct term: for each record its whole name, then its words */
    struct buffer records;   /* size_t for each record: its first term */
    struct buffer open;      /* uint32_t: terms that are not yet wholly in the trie */
    struct buffer nodes;     /* struct node */
    struct buffer edges;     /* uint64_t, a power of two of them; 0 is an empty place */
    unsigned edge_bits;
    uint32_t from_root[256];
};

static char folded(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

/* Makes room for `more` bytes behind the buffer's end. */
static int reserve(struct matcher *matcher, struct buffer *buffer, size_t more) {
    if (more <= buffer->room - buffer->size) return 1;
    size_t room = buffer->room < 1024 ? 1024 : buffer->room;
    while (room - buffer->size < more) {
        if (room > SIZE_MAX / 2) return 0;
        room *= 2;
    }
    char *bytes = matcher->memory(buffer->bytes, buffer->size, room);
    if (!bytes) return 0;
    buffer->bytes = bytes;
    buffer->room = room;
    return 1;
}

static int push_size(struct matcher *matcher, struct buffer *buffer, size_t value) {
    if (!reserve(matcher, buffer, sizeof value)) return 0;
    *(size_t *)(buffer->bytes + buffer->size) = value;
    buffer->size += sizeof value;
    return 1;
}

static size_t size_at(const struct buffer *buffer, size_t index) {
    return ((const size_t *)buffer->bytes)[index];
}

static struct term *terms(const struct matcher *matcher) {
    return (struct term *)matcher->terms.bytes;
}

static struct node *nodes(const struct matcher *matcher) {
    return (struct node *)matcher->nodes.bytes;
}

struct matcher *matcher_new(matcher_memory memory) {
    struct matcher *matcher = memory(NULL, 0, sizeof *matcher);
    if (!matcher) return NULL;
    *matcher = (struct matcher){.memory = memory};
    return push_size(matcher, &matcher->name_ends, 0) ? matcher : NULL;
}

static void append(struct buffer *buffer, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) buffer->bytes[buffer->size++] = folded(text[i]);
}

int matcher_add_person(struct matcher *matcher, const char *given_name, size_t given_name_length, const char *surname,
                       size_t surname_length) {
    struct buffer *names = &matcher->names;
    if (!reserve(matcher, names, given_name_length) || !reserve(matcher, names, given_name_length + 1 + surname_length))
        return 0;
    size_t start = names->size, first = start, end;
    append(names, given_name, given_name_length);
    names->bytes[names->size++] = ' ';
    append(names, surname, surname_length);
    end = names->size;
    while (end > first && names->bytes[end - 1] == ' ') end--;
    while (first < end && names->bytes[first] == ' ') first++;
    for (size_t i = first; i < end; i++) names->bytes[start + i - first] = names->bytes[i];
    names->size = start + (end - first);
    if (end - first > matcher->longest_name) matcher->longest_name = end - first;
    return push_size(matcher, &matcher->name_ends, names->size);
}

void matcher_begin(struct matcher *matcher) {
    matcher->texts.size = matcher->terms.size = matcher->records.size = 0;
}

static int add_term(struct matcher *matcher, size_t start, size_t end) {
    if (!reserve(matcher, &matcher->terms, sizeof(struct term))) return 0;
    terms(matcher)[matcher->terms.size / sizeof(struct term)] = (struct term){start, end, ROOT};
    matcher->terms.size += sizeof(struct term);
    return 1;
}

int matcher_add_record(struct matcher *matcher, const char *name, size_t length) {
    struct buffer *texts = &matcher->texts;
    if (!reserve(matcher, texts, length)) return 0;
    size_t start = texts->size;
    append(texts, name, length);
    if (!push_size(matcher, &matcher->records, matcher->terms.size / sizeof(struct term))) return 0;
    if (!add_term(matcher, start, texts->size)) return 0;
    for (size_t word = start; word < texts->size;) {
        size_t end = word;
        while (end < texts->size && texts->bytes[end] != ' ') end++;
        if (end > word && !add_term(matcher, word, end)) return 0;
        word = end + 1;
    }
    return 1;
}

/* Where the edge of `key` (parent and byte) is in the table, or the empty place where it belongs. */
static uint64_t *place(const struct matcher *matcher, uint64_t key) {
    uint64_t *edges = (uint64_t *)matcher->edges.bytes;
    size_t mask = ((size_t)1 << matcher->edge_bits) - 1;
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15u) >> (64 - matcher->edge_bits));
    while (edges[at] && edges[at] >> NODE_BITS != key) at = (at + 1) & mask;
    return &edges[at];
}

/* The child of `parent` by `byte`; ROOT when there is none. */
static uint32_t child(const struct matcher *matcher, uint32_t parent, unsigned char byte) {
    if (parent == ROOT) return matcher->from_root[byte];
    if (!(nodes(matcher)[parent].letters >> (byte & 63) & 1)) return ROOT;
    return (uint32_t)(*place(matcher, (uint64_t)parent << 8 | byte) & (MOST_NODES - 1));
}

/* The node after reading `byte` at `node`. */
static uint32_t step(const struct matcher *matcher, uint32_t node, unsigned char byte) {
    for (;;) {
        uint32_t next = child(matcher, node, byte);
        if (next != ROOT || node == ROOT) return next;
        node = nodes(matcher)[node].fallback;
    }
}

static int set_edge_bits(struct matcher *matcher, unsigned bits) {
    struct buffer *edges = &matcher->edges;
    size_t bytes = sizeof(uint64_t) << bits;
    edges->size = 0;
    if (!reserve(matcher, edges, bytes)) return 0;
    edges->size = bytes;
    matcher->edge_bits = bits;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) ((uint64_t *)edges->bytes)[i] = 0;
    return 1;
}

/* The child of `parent` by `byte`, made when there is none; NOWHERE when there is no memory. */
static uint32_t grown_child(struct matcher *matcher, uint32_t parent, unsigned char byte) {
    uint32_t found = child(matcher, parent, byte);
    if (found != ROOT) return found;
    size_t number = matcher->nodes.size / sizeof(struct node);
    if (number >= MOST_NODES || !reserve(matcher, &matcher->nodes, sizeof(struct node))) return NOWHERE;
    uint32_t made = (uint32_t)number;
    uint32_t fallback = parent == ROOT ? ROOT : step(matcher, nodes(matcher)[parent].fallback, byte);
    nodes(matcher)[made] = (struct node){.fallback = fallback};
    matcher->nodes.size += sizeof(struct node);
    nodes(matcher)[parent].letters |= (uint64_t)1 << (byte & 63);
    if (parent == ROOT)
        matcher->from_root[byte] = made;
    else
        *place(matcher, (uint64_t)parent << 8 | byte) = ((uint64_t)parent << 8 | byte) << NODE_BITS | made;
    return made;
}

/* Lays the block's terms into an empty trie. */
static int lay(struct matcher *matcher) {
    size_t count = matcher->terms.size / sizeof(struct term), bytes = 0, open = 0;
    matcher->nodes.size = matcher->open.size = 0;
    if (!reserve(matcher, &matcher->nodes, sizeof(struct node))) return 0;
    if (!reserve(matcher, &matcher->open, count * sizeof(uint32_t))) return 0;
    nodes(matcher)[ROOT] = (struct node){.fallback = ROOT};
    matcher->nodes.size = sizeof(struct node);
    for (size_t i = 0; i < 256; i++) matcher->from_root[i] = ROOT;

    uint32_t *waiting = (uint32_t *)matcher->open.bytes;
    for (size_t i = 0; i < count; i++) {
        struct term *term = &terms(matcher)[i];
        size_t length = term->end - term->start;
        term->node = length > matcher->longest_name ? NOWHERE : ROOT;
        if (length == 0 || term->node == NOWHERE) continue;
        waiting[open++] = (uint32_t)i;
        bytes += length;
    }
    /* There are at most as many edges as bytes; half of the places stay empty. */
    unsigned bits = 4;
    while (bits < 8 * sizeof(size_t) - 5 && (size_t)1 << bits < 2 * bytes) bits++;
    if (!set_edge_bits(matcher, bits)) return 0;

    for (size_t depth = 0; open > 0; depth++) {
        size_t left = 0;
        for (size_t i = 0; i < open; i++) {
            struct term *term = &terms(matcher)[waiting[i]];
            term->node = grown_child(matcher, term->node, (unsigned char)matcher->texts.bytes[term->start + depth]);
            if (term->node == NOWHERE) return 0;
            if (term->start + depth + 1 < term->end) waiting[left++] = waiting[i];
        }
        open = left;
    }
    return 1;
}

/* Notes where terms end. A fallback has a lower number than its node. */
static void note_endings(struct matcher *matcher) {
    for (size_t i = 0; i < matcher->terms.size / sizeof(struct term); i++) {
        uint32_t node = terms(matcher)[i].node;
        if (node != NOWHERE) nodes(matcher)[node].ending = node;
    }
    for (size_t i = 1; i < matcher->nodes.size / sizeof(struct node); i++) {
        struct node *node = &nodes(matcher)[i];
        if (node->ending == ROOT) node->ending = nodes(matcher)[node->fallback].ending;
    }
}

int matcher_count(struct matcher *matcher) {
    if (!lay(matcher)) return 0;
    note_endings(matcher);
    struct node *all = nodes(matcher);
    size_t people = matcher->name_ends.size / sizeof(size_t) - 1;
    for (size_t person = 1; person <= people; person++) {
        uint32_t node = ROOT;
        for (size_t at = size_at(&matcher->name_ends, person - 1); at < size_at(&matcher->name_ends, person); at++) {
            node = step(matcher, node, (unsigned char)matcher->names.bytes[at]);
            /* What this person was counted for already, he was with all the endings behind it. */
            for (uint32_t found = all[node].ending; found != ROOT && all[found].person != (uint32_t)person;
                 found = all[all[found].fallback].ending) {
                all[found].person = (uint32_t)person;
                all[found].count++;
            }
        }
    }
    all[ROOT].count = (uint32_t)people;
    return 1;
}

static uint32_t count_of(const struct matcher *matcher, size_t term) {
    uint32_t node = terms(matcher)[term].node;
    return node == NOWHERE ? 0 : nodes(matcher)[node].count;
}

/* The record's terms are from its first to before this one. */
static size_t behind(const struct matcher *matcher, size_t record) {
    size_t next = (record + 1) * sizeof(size_t);
    return next < matcher->records.size ? size_at(&matcher->records, record + 1)
                                        : matcher->terms.size / sizeof(struct term);
}

uint32_t matcher_name_count(const struct matcher *matcher, size_t record) {
    return count_of(matcher, size_at(&matcher->records, record));
}

size_t matcher_word_counts_room(const struct matcher *matcher, size_t record) {
    return (behind(matcher, record) - size_at(&matcher->records, record) - 1) * COUNT_ROOM;
}

size_t matcher_word_counts(const struct matcher *matcher, size_t record, char *text) {
    size_t length = 0;
    for (size_t term = size_at(&matcher->records, record) + 1; term < behind(matcher, record); term++) {
        char digits[COUNT_ROOM];
        size_t first = sizeof digits;
        uint32_t count = count_of(matcher, term);
        do {
            digits[--first] = (char)('0' + count % 10);
            count /= 10;
        } while (count > 0);
        if (length > 0) text[length++] = ' ';
        while (first < sizeof digits) text[length++] = digits[first++];
    }
    return length;
}
