-- What Hologres has and PostgreSQL lacks, where SQL can give it.
CREATE SCHEMA IF NOT EXISTS hologres;
GRANT USAGE, CREATE ON SCHEMA hologres TO PUBLIC;

CREATE TABLE IF NOT EXISTS hologres.standin_properties (
    relation oid, property_key text, property_value text, PRIMARY KEY (relation, property_key));
GRANT ALL ON hologres.standin_properties TO PUBLIC;

CREATE OR REPLACE VIEW hologres.hg_table_properties AS
    SELECT n.nspname::text AS table_namespace, c.relname::text AS table_name, p.property_key, p.property_value
    FROM hologres.standin_properties p
    JOIN pg_class c ON c.oid = p.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace;
GRANT SELECT ON hologres.hg_table_properties TO PUBLIC;

CREATE OR REPLACE VIEW hologres.hg_table_group_properties AS
    SELECT 'standin_tg_default'::text AS tablegroup_name, 'shard_count'::text AS property_key, '20'::text AS property_value;
GRANT SELECT ON hologres.hg_table_group_properties TO PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.hg_version() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT 'Hologres {version} (tag: release-{release}.x build: standin)'::text $$;
CREATE OR REPLACE FUNCTION pg_catalog.instance_max_connections() RETURNS integer LANGUAGE sql STABLE AS
    $$ SELECT 256 $$;
CREATE OR REPLACE FUNCTION hologres.hg_internal_refresh_meta(integer) RETURNS text LANGUAGE sql AS
    $$ SELECT 'Refresh meta succeeded'::text $$;
CREATE OR REPLACE FUNCTION hologres.hg_internal_check_table_meta(text) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN to_regclass($1) IS NULL THEN 'Check meta failed' ELSE 'Check meta succeeded' END $$;

CREATE OR REPLACE PROCEDURE pg_catalog.set_table_property(table_name text, key text, value text) LANGUAGE plpgsql AS $$
DECLARE
    target oid := to_regclass(table_name);
    outsider text;
BEGIN
    IF target IS NULL THEN
        RAISE EXCEPTION 'relation "%" does not exist', table_name USING ERRCODE = '42P01';
    END IF;
    -- The layout is decided with the table.
    IF key IN ('orientation', 'distribution_key', 'clustering_key', 'segment_key', 'event_time_column', 'table_group')
        AND (SELECT c.xmin::text::bigint FROM pg_class c WHERE c.oid = target) <> txid_current() % 4294967296 THEN
        RAISE EXCEPTION 'SET_TABLE_PROPERTY and CREATE TABLE statement are not in the same transaction for %', key
            USING ERRCODE = '0A000';
    END IF;
    IF key = 'distribution_key' THEN
        SELECT trim(wanted) INTO outsider FROM unnest(string_to_array(replace(value, '"', ''), ',')) AS wanted
        WHERE EXISTS (SELECT FROM pg_index WHERE indrelid = target AND indisprimary)
            AND NOT EXISTS (
                SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = target AND i.indisprimary AND a.attname = trim(wanted));
        IF outsider IS NOT NULL THEN
            RAISE EXCEPTION 'distribution_key % must be a subset of the primary key', outsider USING ERRCODE = '42P16';
        END IF;
    END IF;
    INSERT INTO hologres.standin_properties VALUES (target, key, value)
        ON CONFLICT (relation, property_key) DO UPDATE SET property_value = excluded.property_value;
END $$;

CREATE OR REPLACE PROCEDURE pg_catalog.hg_create_table_like(table_name text, query text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %s AS %s WITH NO DATA', table_name, query);
END $$;

-- The same with `hg_experimental_enable_create_table_like_properties` on: of a whole table, with key and properties.
CREATE OR REPLACE PROCEDURE hologres.standin_create_table_like(table_name text, query text) LANGUAGE plpgsql AS $$
DECLARE
    source oid := to_regclass((regexp_match(query, '^\s*select\s+\*\s+from\s+(\S+)\s*$', 'i'))[1]);
BEGIN
    IF source IS NULL OR EXISTS (SELECT FROM pg_class WHERE oid = source AND relkind = 'p') THEN
        RAISE EXCEPTION 'Feature not supported: create table like' USING ERRCODE = '0A000';
    END IF;
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', table_name,
        source::regclass);
    INSERT INTO hologres.standin_properties
    SELECT to_regclass(table_name), property_key, property_value FROM hologres.standin_properties
    WHERE relation = source AND property_key NOT IN ('table_id', 'schema_version')
    ON CONFLICT (relation, property_key) DO UPDATE SET property_value = excluded.property_value;
END $$;

CREATE OR REPLACE PROCEDURE pg_catalog.hg_insert_overwrite(target text, query text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %s', target);
    EXECUTE format('INSERT INTO %s %s', target, query);
END $$;

CREATE OR REPLACE FUNCTION hologres.standin_check_table(target oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT attname INTO wrong FROM pg_attribute
    WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND atttypid = 'numeric'::regtype AND atttypmod = -1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'invalid definition of a numeric type' USING ERRCODE = 'XX000';
    END IF;
    SELECT format_type(a.atttypid, a.atttypmod) INTO wrong
    FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE i.indrelid = target AND i.indisprimary
        AND (t.typcategory = 'A' OR t.typname IN ('float4', 'float8', 'numeric', 'json', 'jsonb'));
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'Feature not supported: primary key column of type %', wrong USING ERRCODE = '0A000';
    END IF;
    IF EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = target AND (partstrat <> 'l' OR partnatts <> 1)) THEN
        RAISE EXCEPTION 'Feature not supported: only LIST partitions of one column' USING ERRCODE = '0A000';
    END IF;
END $$;

-- A timestamptz keeps milliseconds. Truncated, not rounded: no source says which.
CREATE OR REPLACE FUNCTION hologres.standin_keep_milliseconds(target oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    body text;
    name text := format('hologres.standin_milliseconds_%s', target);
BEGIN
    SELECT string_agg(format('NEW.%I := date_trunc(''milliseconds'', NEW.%1$I);', a.attname), ' ') INTO body
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = target AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        AND a.atttypid = 'timestamptz'::regtype;
    IF body IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS %L', name,
        format('BEGIN %s RETURN NEW; END', body));
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = target AND tgname = 'standin_milliseconds') THEN
        EXECUTE format(
            'CREATE TRIGGER standin_milliseconds BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE PROCEDURE %s()',
            target::regclass, name);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION hologres.standin_describe_table(target oid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hologres.standin_properties
    SELECT target, property_key, property_value
    FROM (VALUES
        ('orientation', 'column'), ('table_group', 'standin_tg_default'), ('schema_version', '1'),
        ('time_to_live_in_seconds', '3153600000'), ('binlog.level', 'none'), ('table_id', target::text),
        ('distribution_key', (
            SELECT string_agg(a.attname, ',' ORDER BY array_position(i.indkey::int2[], a.attnum))
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = target AND i.indisprimary))
    ) AS properties (property_key, property_value)
    WHERE property_value IS NOT NULL
    ON CONFLICT (relation, property_key) DO NOTHING
$$;

CREATE OR REPLACE FUNCTION hologres.standin_after_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    target oid;
BEGIN
    FOR target IN
        SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands()
        WHERE object_type = 'table' AND schema_name <> 'pg_temp' AND NOT in_extension
            AND command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    LOOP
        PERFORM hologres.standin_check_table(target);
        PERFORM hologres.standin_keep_milliseconds(target);
        PERFORM hologres.standin_describe_table(target);
    END LOOP;
END $$;

DROP EVENT TRIGGER IF EXISTS standin_after_ddl;
CREATE EVENT TRIGGER standin_after_ddl ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    EXECUTE PROCEDURE hologres.standin_after_ddl();
