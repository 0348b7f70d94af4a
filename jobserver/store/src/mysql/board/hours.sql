SELECT hour, plugin, jobs, records, errors, work_ms, failures FROM hours_of_work WHERE hour >= :since ORDER BY hour, plugin
