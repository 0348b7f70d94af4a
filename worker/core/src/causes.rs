//! An error with its causes in one line, for the places where no further error type carries them on.

pub(crate) use nightshift_manifest::causes::in_one_line as with_causes;
