-- The Merkle tree over the record. A program that does not know it leaves it behind, and the next one that does brings it up.
-- oldest: 1
ALTER TABLE $schema.chain ADD COLUMN size bigint NOT NULL DEFAULT 0; -- leaves in the tree
ALTER TABLE $schema.chain ADD COLUMN edge bytea NOT NULL DEFAULT ''; -- its right edge

CREATE TABLE $schema.tiles (
  level  integer NOT NULL,
  n      bigint NOT NULL,
  hashes bytea NOT NULL,
  PRIMARY KEY (level, n)
);

CREATE INDEX events_actor ON $schema.events (actor, seq);
