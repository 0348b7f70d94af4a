//! Runs a release's plugins over blocks of records.
