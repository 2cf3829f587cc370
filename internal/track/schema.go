package track

// journalSchema keeps what was acknowledged until it is folded. Rows are written once, in order, and removed from the front.
const journalSchema = `
CREATE TABLE journal (
  seq    INTEGER PRIMARY KEY,
  events INTEGER NOT NULL,
  body   BLOB    NOT NULL
) STRICT`

// eventsSchema keeps events in the order in which they are read: all users of a flag, and all events of a metric by
// user, so that a summary walks through both side by side. Times are milliseconds since 1970.
const eventsSchema = `
CREATE TABLE names ( -- of flags, variants and metrics; the environment itself has an empty one
  id          INTEGER PRIMARY KEY,
  environment TEXT    NOT NULL,
  kind        INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  flag_set    TEXT    NOT NULL DEFAULT '',
  last        INTEGER NOT NULL DEFAULT 0, -- time of the latest event
  UNIQUE (environment, kind, name)
) STRICT;

CREATE TABLE users (
  id          INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL, -- id of its name
  key         TEXT    NOT NULL,
  day         INTEGER NOT NULL, -- since 1970, when something last arrived
  UNIQUE (environment, key)
) STRICT;

CREATE TABLE exposures ( -- one row for each hour in which a user was given a variant
  flag    INTEGER NOT NULL,
  user    INTEGER NOT NULL,
  hour    INTEGER NOT NULL, -- since 1970
  variant INTEGER NOT NULL,
  first   INTEGER NOT NULL,
  last    INTEGER NOT NULL,
  context TEXT,
  PRIMARY KEY (flag, user, hour, variant)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
  metric  INTEGER NOT NULL,
  user    INTEGER NOT NULL,
  time    INTEGER NOT NULL,
  n       INTEGER NOT NULL, -- of the event, in order of arrival
  value   REAL    NOT NULL,
  context TEXT,
  PRIMARY KEY (metric, user, time, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE ids ( -- that were counted
  hash  INTEGER PRIMARY KEY,
  print INTEGER NOT NULL,
  hour  INTEGER NOT NULL -- since 1970, of arrival
) STRICT;

CREATE TABLE folded ( -- one row: how far the journal is in these tables
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  seq    INTEGER NOT NULL,
  events INTEGER NOT NULL -- numbers given to metric events
) STRICT;

INSERT INTO folded VALUES (1, 0, 0)`
