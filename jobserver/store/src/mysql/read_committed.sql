-- Of connections that write: each statement sees the last commit, and no gaps are locked. Compare and set does the rest.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
