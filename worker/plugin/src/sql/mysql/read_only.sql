-- Every transaction of this session may only read: the server's own guard, behind the account's rights.
SET SESSION TRANSACTION READ ONLY
