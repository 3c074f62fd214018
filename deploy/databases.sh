#!/bin/sh
# Run once by the postgres image: databases and roles of the catalog, of Prefect, and the app's, which can only read.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username postgres \
    --set=catalog="$CATALOG_PASSWORD" --set=app="$APP_CATALOG_PASSWORD" --set=prefect="$PREFECT_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE goldcopy LOGIN PASSWORD :'catalog';
CREATE ROLE goldcopy_app LOGIN PASSWORD :'app';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE DATABASE goldcopy OWNER goldcopy;
CREATE DATABASE prefect OWNER prefect;
REVOKE CONNECT ON DATABASE goldcopy, prefect FROM PUBLIC;
GRANT CONNECT ON DATABASE goldcopy TO goldcopy_app;
ALTER ROLE goldcopy_app SET default_transaction_read_only = on;
\connect goldcopy
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO goldcopy;
GRANT USAGE ON SCHEMA public TO goldcopy_app;
ALTER DEFAULT PRIVILEGES FOR ROLE goldcopy IN SCHEMA public GRANT SELECT ON TABLES TO goldcopy_app;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
SQL
