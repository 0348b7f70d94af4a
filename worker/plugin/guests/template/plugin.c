/* Writes names in capital letters and counts their letters, in C. Build it with clang and lld, no library needed:
 *
 *   clang --target=wasm32 -O2 -mbulk-memory -nostdlib -ffreestanding -Wl,--no-entry -Wl,--strip-all -I.. -o plugin.wasm plugin.c
 *
 * and write module = "plugin.wasm" in plugin.toml. It needs nightshift.h, here or in the folder above.
 */
#include "nightshift.h"

void ns_process(struct ns_reader *block, uint32_t columns, uint32_t records, struct ns_writer *answer) {
    (void)columns;
    ns_write_answer(answer, 2, records);
    for (uint32_t record = 0; record < records; record++) {
        ns_write_result(answer, ns_read_id(block));
        struct ns_text name = ns_read(block).text;
        char *shouted = ns_take(name.length);
        int64_t letters = 0;
        for (uint32_t i = 0; i < name.length; i++) {
            char byte = name.bytes[i];
            shouted[i] = byte >= 'a' && byte <= 'z' ? (char)(byte - 32) : byte;
            /* Bytes 10xxxxxx go on with the letter before. */
            letters += (byte & 0xC0) != 0x80;
        }
        ns_write_text(answer, shouted, name.length);
        ns_write_integer(answer, letters);
    }
}
