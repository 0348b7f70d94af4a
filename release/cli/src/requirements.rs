//! What jobs ask of a worker, as people read it.

use nightshift_wire::Requirements;

/// `2000 MB of memory, tags gpu, release 1.4.0 or later`; `nothing` when there is nothing.
pub(crate) fn in_words(asked: &Requirements) -> String {
    let Requirements { memory_mb, disk_mb, tags, release } = asked;
    let mut words = Vec::new();
    if *memory_mb > 0 {
        words.push(format!("{memory_mb} MB of memory"));
    }
    if *disk_mb > 0 {
        words.push(format!("{disk_mb} MB of disk"));
    }
    if !tags.is_empty() {
        words.push(format!("tags {}", tags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")));
    }
    if let Some(release) = release {
        words.push(format!("release {release} or later"));
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_read_as_a_sentence() {
        assert_eq!(in_words(&Requirements::default()), "nothing");
        let asked = Requirements {
            memory_mb: 2_000,
            disk_mb: 1,
            tags: ["gpu".to_owned(), "big".to_owned()].into(),
            release: Some("1.4.0".to_owned()),
        };
        assert_eq!(in_words(&asked), "2000 MB of memory, 1 MB of disk, tags big gpu, release 1.4.0 or later");
    }
}
