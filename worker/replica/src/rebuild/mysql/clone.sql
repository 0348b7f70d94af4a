-- Replaces everything the server has by what the donor has, and ends the server.
SET GLOBAL clone_valid_donor_list = {donor};
SET GLOBAL clone_ssl_ca = {authority};
CLONE INSTANCE FROM {user}@{host}:{port} IDENTIFIED BY {password} {ssl};
