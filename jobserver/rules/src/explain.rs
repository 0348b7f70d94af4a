//! Why a job waits.
