SELECT name, recorded_at, recorded_by, since, until, figures, office FROM baselines ORDER BY name
