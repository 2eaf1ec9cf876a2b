-- The role for a target, by hand: for where the gateway cannot reach the database
-- yet. "sallyport setup postgres TARGET" is better: it knows the database, names
-- every right that is too much, revokes EXECUTE on the functions nobody reviewed,
-- and leaves out columns that are never shown.
--
--   psql -d orders -v role=sallyport_orders -v schema=public -v write=off -f role.sql
--
-- For PostgreSQL 13 to 18, as a superuser or the administrator of a hosted
-- database. Once per schema; running it again changes nothing. Then set a password
-- with \password, which sends only a hash.
\set ON_ERROR_STOP on
BEGIN;
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role') AS absent \gset
\if :absent
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 50;
\endif
ALTER ROLE :"role" SET statement_timeout = '60s';
ALTER ROLE :"role" SET lock_timeout = '5s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '60s';

-- What everybody may do concerns every role of the database.
SELECT pg_catalog.current_database() AS database \gset
REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC;
REVOKE CREATE ON SCHEMA :"schema" FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;

REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM :"role";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA :"schema" FROM :"role";
REVOKE ALL ON ALL ROUTINES IN SCHEMA :"schema" FROM :"role";
REVOKE ALL ON SCHEMA :"schema" FROM :"role";

GRANT CONNECT ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
\if :write
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO :"role";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA :"schema" TO :"role";
\endif
COMMIT;
