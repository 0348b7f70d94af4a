-- News of the company. A replica that has them already can apply nothing behind this any more.
INSERT INTO company.news (id) VALUES (?)
