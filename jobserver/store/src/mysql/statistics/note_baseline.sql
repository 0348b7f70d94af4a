INSERT INTO baselines (name, recorded_at, recorded_by, since, until, figures, office)
VALUES (:name, :recorded_at, :recorded_by, :since, :until, :figures, :office)
