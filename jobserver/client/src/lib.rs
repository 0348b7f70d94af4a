//! The one HTTP client of the job server's API.
