//! A guest in Rust: writes names in capital letters and counts their letters. Cargo.toml says how it is built, and
//! docs/PLUGINS.md what the bytes are.

use std::mem::take;
use std::sync::Mutex;

/// The block that comes next, or is being processed.
static BLOCK: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// The answer, until the host has read it.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn nightshift_abi() -> u32 {
    1
}

/// A place for the next block.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(length: usize) -> *mut u8 {
    let mut block = BLOCK.lock().expect("one thread");
    *block = vec![0; length.max(1)];
    block.as_mut_ptr()
}

/// Processes the block that the host wrote where `alloc` said; where the answer is, and how long.
#[unsafe(no_mangle)]
pub extern "C" fn process(_block: *const u8, _length: usize) -> u64 {
    let block = take(&mut *BLOCK.lock().expect("one thread"));
    let mut answer = ANSWER.lock().expect("one thread");
    *answer = answered(&block);
    (answer.as_ptr() as u64) << 32 | answer.len() as u64
}

/// The answer to a block.
fn answered(mut block: &[u8]) -> Vec<u8> {
    let block = &mut block;
    let (_columns, records) = (u32_of(block), u32_of(block));
    // Results (0) of two columns, one for each record.
    let mut answer = vec![0];
    answer.extend(2_u32.to_le_bytes());
    answer.extend(records.to_le_bytes());
    for _ in 0..records {
        // Its id, and 0: values follow.
        answer.extend(bytes_of(block, 8));
        answer.push(0);
        // The column name, which is a text (3).
        let _tag = bytes_of(block, 1);
        let length = u32_of(block) as usize;
        let name = str::from_utf8(bytes_of(block, length)).expect("texts are UTF-8");
        let shouted = name.to_uppercase();
        answer.push(3);
        answer.extend((shouted.len() as u32).to_le_bytes());
        answer.extend(shouted.as_bytes());
        // An integer (1).
        answer.push(1);
        answer.extend((name.chars().count() as i64).to_le_bytes());
    }
    answer
}

fn u32_of(block: &mut &[u8]) -> u32 {
    u32::from_le_bytes(bytes_of(block, 4).try_into().expect("four bytes"))
}

fn bytes_of<'a>(block: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = block.split_at(length);
    *block = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_answered_as_the_page_says() {
        let block = [&[1, 0, 0, 0, 1, 0, 0, 0][..], &7_i64.to_le_bytes(), &[3, 3, 0, 0, 0], b"Ada"].concat();
        let expected = [
            &[0, 2, 0, 0, 0, 1, 0, 0, 0][..],
            &7_i64.to_le_bytes(),
            &[0, 3, 3, 0, 0, 0],
            b"ADA",
            &[1],
            &3_i64.to_le_bytes(),
        ];
        assert_eq!(answered(&block), expected.concat());
    }
}
