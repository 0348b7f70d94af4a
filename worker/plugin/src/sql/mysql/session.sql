-- The same on every server, whatever its configuration says. A concatenation is cut at group_concat_max_len without an
-- error, so it may be a little longer than the largest result: that is refused then, and never shortened.
SET SESSION
  sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  group_concat_max_len = 4194305,
  wait_timeout = 86400
