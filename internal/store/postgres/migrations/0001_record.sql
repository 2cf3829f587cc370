-- Text compares byte by byte, as in every other store: COLLATE "C".
CREATE TABLE $schema.docs (
  kind    text   COLLATE "C" NOT NULL,
  name    text   COLLATE "C" NOT NULL,
  rev     bigint NOT NULL,
  updated bigint NOT NULL, -- microseconds since 1970
  body    text   NOT NULL,
  PRIMARY KEY (kind, name)
);

CREATE TABLE $schema.events (
  seq     bigint PRIMARY KEY,
  time    bigint NOT NULL, -- microseconds since 1970
  type    text   COLLATE "C" NOT NULL,
  actor   text   NOT NULL,
  subject text   COLLATE "C" NOT NULL,
  data    text,
  prev    text   NOT NULL,
  hash    text   NOT NULL
);

CREATE INDEX events_subject ON $schema.events (subject, seq);

-- One row: the end of the chain. Whoever writes locks it first, which puts all writers in one order.
CREATE TABLE $schema.chain (
  id   integer PRIMARY KEY CHECK (id = 1),
  seq  bigint NOT NULL,
  hash text   NOT NULL
);

INSERT INTO $schema.chain VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
