-- Who the server is, what it has, whether it can be followed, and whether it can be cloned.
SELECT @@GLOBAL.server_uuid, @@GLOBAL.gtid_executed, @@GLOBAL.log_bin, @@GLOBAL.gtid_mode,
  EXISTS (SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone' AND plugin_status = 'ACTIVE')
