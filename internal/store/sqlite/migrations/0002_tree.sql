-- The Merkle tree over the record. A program that does not know it leaves it behind, and the next one that does brings it up.
-- oldest: 1
ALTER TABLE chain ADD COLUMN size INTEGER NOT NULL DEFAULT 0; -- leaves in the tree
ALTER TABLE chain ADD COLUMN edge BLOB NOT NULL DEFAULT x'';  -- its right edge

CREATE TABLE tiles (
  level  INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  hashes BLOB    NOT NULL,
  PRIMARY KEY (level, n)
) STRICT;

CREATE INDEX events_actor ON events (actor, seq);
