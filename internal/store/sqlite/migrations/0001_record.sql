-- 'RgFn', so that a file of another program is told apart.
PRAGMA application_id = 1382499950;

CREATE TABLE docs (
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  rev     INTEGER NOT NULL,
  updated INTEGER NOT NULL, -- microseconds since 1970
  body    TEXT    NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT;

CREATE TABLE events (
  seq     INTEGER PRIMARY KEY,
  time    INTEGER NOT NULL, -- microseconds since 1970
  type    TEXT    NOT NULL,
  actor   TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  data    TEXT,
  prev    TEXT    NOT NULL,
  hash    TEXT    NOT NULL
) STRICT;

CREATE INDEX events_subject ON events (subject, seq);

-- One row: the end of the chain, written with every event.
CREATE TABLE chain (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  seq  INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT;

INSERT INTO chain VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
