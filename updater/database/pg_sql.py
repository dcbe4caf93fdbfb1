"""The statements that PostgreSQL is asked: what a database consists of, and how it is emptied.

Objects of extensions and objects that hang on others (identity sequences, array types) are never touched on their own.
"""

from __future__ import annotations

__all__ = ["DROP_ALL", "END_ALL_SESSIONS", "END_SESSIONS", "LEAD_NAME", "LIKE_THIS", "STATE"]

LEAD_NAME = "tagship-lead"
"""What the session of a leading server is called: a restore does not end it, it is what keeps others away."""

_OBJECTS = """
  item(class, id, owner, space, rank) AS (
    SELECT 'pg_event_trigger'::regclass::oid, oid, evtowner, NULL::oid, 0 FROM pg_event_trigger
    UNION ALL SELECT 'pg_publication'::regclass, oid, pubowner, NULL, 1 FROM pg_publication
    UNION ALL SELECT 'pg_class'::regclass, oid, relowner, relnamespace, 2 FROM pg_class
      WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, pronamespace, 3 FROM pg_proc
    UNION ALL SELECT 'pg_type'::regclass, t.oid, typowner, typnamespace, 4 FROM pg_type t
      LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.typrelid = 0 OR c.relkind = 'c'
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner, oprnamespace, 5 FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner, opcnamespace, 6 FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner, opfnamespace, 7 FROM pg_opfamily
    UNION ALL SELECT 'pg_collation'::regclass, oid, collowner, collnamespace, 8 FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner, connamespace, 9 FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner, cfgnamespace, 10 FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner, dictnamespace, 11 FROM pg_ts_dict
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner, stxnamespace, 12 FROM pg_statistic_ext
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner, NULL, 13 FROM pg_foreign_server
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, NULL, 14 FROM pg_foreign_data_wrapper
  ),
  object AS (
    SELECT item.*, pg_has_role(owner, 'USAGE') AS ours, name.type, name.identity
    FROM item LEFT JOIN pg_namespace AS n ON n.oid = space,
      LATERAL pg_identify_object(class, id, 0) AS name
    WHERE (space IS NULL OR (n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'))
      AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = id AND d.objsubid = 0 AND d.deptype IN ('i', 'e'))
  )
"""

STATE = f"""
WITH {_OBJECTS}
SELECT 'tagship:' || jsonb_build_object(
  'server', current_setting('server_version'),
  'user', current_user,
  'size', pg_database_size(current_database()),
  'schemas', (SELECT coalesce(jsonb_agg(nspname ORDER BY nspname), '[]') FROM pg_namespace
              WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
  'extensions', (SELECT coalesce(jsonb_agg(extname ORDER BY extname), '[]') FROM pg_extension),
  'extension_tables', (
    SELECT coalesce(jsonb_agg(jsonb_build_array(nspname, relname)), '[]')
    FROM pg_depend JOIN pg_class c ON c.oid = objid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE classid = 'pg_class'::regclass AND deptype = 'e' AND relkind IN ('r', 'p', 'S')),
  'others', (SELECT coalesce(jsonb_agg(type || ' ' || identity ORDER BY rank, identity), '[]')
             FROM (SELECT * FROM object WHERE NOT ours ORDER BY rank, identity LIMIT 5) AS few)
)::text
"""  # noqa: S608 - only constants are put in
"""One line, ``tagship:`` and a JSON object. ``others``: what the connecting role does not own and cannot restore."""

DROP_ALL = f"""
DO $tagship$
DECLARE
  statements text[];
  statement text;
  kept_schemas jsonb := current_setting('tagship.schemas')::jsonb;
  kept_extensions jsonb := current_setting('tagship.extensions')::jsonb;
BEGIN
  FOR statement IN
    SELECT format('DROP EXTENSION IF EXISTS %I CASCADE', extname) FROM pg_extension
    WHERE NOT kept_extensions ? extname::text AND pg_has_role(extowner, 'USAGE')
  LOOP EXECUTE statement; END LOOP;

  WITH {_OBJECTS}
  SELECT array_agg(format('DROP %s IF EXISTS %s CASCADE',
      CASE type WHEN 'statistics object' THEN 'STATISTICS' WHEN 'foreign-data wrapper' THEN 'FOREIGN DATA WRAPPER'
      ELSE upper(type) END, identity) ORDER BY rank, id)
  INTO statements FROM object WHERE ours;
  FOREACH statement IN ARRAY coalesce(statements, '{{}}') LOOP EXECUTE statement; END LOOP;

  FOR statement IN
    SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname) FROM pg_namespace
    WHERE NOT kept_schemas ? nspname::text AND nspname !~ '^pg_' AND nspname <> 'information_schema'
      AND pg_has_role(nspowner, 'USAGE')
  LOOP EXECUTE statement; END LOOP;

  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata WHERE pg_has_role(lomowner, 'USAGE');
END
$tagship$
"""  # noqa: S608 - only constants are put in
"""Drops everything the role owns but the schemas and extensions named in the two settings (JSON lists)."""

END_SESSIONS = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name <> '{LEAD_NAME}'
"""  # noqa: S608 - only a constant is put in

END_ALL_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = current_user
"""

LIKE_THIS = """
SELECT 'tagship:' || format('ENCODING %L LC_COLLATE %L LC_CTYPE %L',
  pg_encoding_to_char(encoding), datcollate, datctype)
FROM pg_database WHERE datname = current_database()
"""
