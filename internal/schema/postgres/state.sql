CREATE SCHEMA IF NOT EXISTS ringfence_schema;
GRANT USAGE ON SCHEMA ringfence_schema TO PUBLIC;

CREATE TABLE IF NOT EXISTS ringfence_schema.migrations (
    schema  text NOT NULL,
    name    text NOT NULL,
    phase   text NOT NULL,
    state   jsonb NOT NULL,
    plan    jsonb NOT NULL,
    started timestamptz NOT NULL,
    PRIMARY KEY (schema, name)
);
CREATE UNIQUE INDEX IF NOT EXISTS one_at_a_time ON ringfence_schema.migrations ((true)) WHERE phase IN ('starting', 'started');

CREATE TABLE IF NOT EXISTS ringfence_schema.probe (id integer PRIMARY KEY, at timestamptz);
INSERT INTO ringfence_schema.probe VALUES (1, now()) ON CONFLICT DO NOTHING;

-- A program calls this on each new connection. It sets search_path and holds a lock, shared with others of the version, for as long as
-- the connection lives; the contract takes the same lock for itself.
CREATE OR REPLACE FUNCTION ringfence_schema.use(version text) RETURNS text LANGUAGE plpgsql AS $use$
DECLARE
    before text := current_setting('ringfence.version', true);
    base   text;
BEGIN
    IF before = version THEN
        RETURN version;
    END IF;
    IF NOT pg_try_advisory_lock_shared(1380337254, hashtext(version)) THEN
        RAISE EXCEPTION 'version % is being taken away', version USING ERRCODE = 'invalid_schema_name';
    END IF;
    SELECT coalesce(substring(obj_description(oid, 'pg_namespace') from '^ringfence: version of (.*)$'), nspname) INTO base
        FROM pg_namespace WHERE nspname = version;
    IF base IS NULL THEN
        PERFORM pg_advisory_unlock_shared(1380337254, hashtext(version));
        RAISE EXCEPTION 'there is no version %', version USING ERRCODE = 'invalid_schema_name',
            HINT = coalesce('Live: ' || (SELECT string_agg(nspname, ', ') FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'ringfence: version of %'), 'None is live.');
    END IF;
    IF before <> '' THEN
        PERFORM pg_advisory_unlock_shared(1380337254, hashtext(before));
    END IF;
    PERFORM set_config('search_path', CASE WHEN base = version THEN quote_ident(version) ELSE quote_ident(version) || ', ' || quote_ident(base) END, false);
    PERFORM set_config('ringfence.version', version, false);
    RETURN version;
END
$use$;

-- A program in deployment mode calls this first in each transaction, with the versions that it understands, the one it would rather have
-- first. It gets one that is live, by search_path, until the transaction ends. While a version is being taken away, who would have it
-- waits for a moment and gets the next one. By the locks of the session it is known which versions the program understands.
CREATE OR REPLACE FUNCTION ringfence_schema.enter(VARIADIC versions text[]) RETURNS text LANGUAGE plpgsql AS $enter$
DECLARE
    before text := current_setting('ringfence.calls', true);
    v      text;
    base   text;
    held   bigint;
BEGIN
    FOREACH v IN ARRAY versions LOOP
        PERFORM pg_advisory_xact_lock_shared(1380337255, hashtext(v));
        SELECT coalesce(substring(obj_description(oid, 'pg_namespace') from '^ringfence: version of (.*)$'), nspname) INTO base
            FROM pg_namespace WHERE nspname = v AND to_regnamespace(quote_ident(v)) IS NOT NULL; -- the latter also in an older snapshot
        IF base IS NOT NULL THEN
            IF before IS DISTINCT FROM array_to_string(versions, ',') THEN -- once in a session: locks outlive a rollback, settings do not
                LOOP
                    SELECT objid::bigint INTO held FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 1380337256 AND objsubid = 2 LIMIT 1;
                    EXIT WHEN NOT FOUND;
                    PERFORM pg_advisory_unlock_shared(1380337256, (CASE WHEN held > 2147483647 THEN held - 4294967296 ELSE held END)::integer);
                END LOOP;
                PERFORM pg_advisory_lock_shared(1380337256, hashtext(b)) FROM unnest(versions) AS b;
                PERFORM set_config('ringfence.calls', array_to_string(versions, ','), false);
            END IF;
            PERFORM set_config('search_path', CASE WHEN base = v THEN quote_ident(v) ELSE quote_ident(v) || ', ' || quote_ident(base) END, true);
            RETURN v;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'none of the versions % is live', array_to_string(versions, ', ') USING ERRCODE = 'invalid_schema_name',
        HINT = coalesce('Live: ' || (SELECT string_agg(nspname, ', ') FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'ringfence: version of %'), 'None is live.');
END
$enter$;
