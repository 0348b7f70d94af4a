INSERT INTO enrolments (worker, name, host, machine, credential, address, asked_at, join_token, state, reason,
                        decided_at, decided_by, changed)
SELECT :worker, :name, :host, :machine, :credential, :address, :asked_at, :join_token, :state, :reason,
       :decided_at, :decided_by, number
FROM access_changes
