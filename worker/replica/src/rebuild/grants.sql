-- Everything the account may do.
SHOW GRANTS
