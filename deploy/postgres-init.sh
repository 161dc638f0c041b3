#!/bin/sh
# Runs once, when the database's volume is empty: creates a database and a user for Dagster and for
# Polaris.
set -eu

for name in dagster polaris; do
  case $name in
    dagster) password=$DAGSTER_PG_PASSWORD ;;
    polaris) password=$POLARIS_PG_PASSWORD ;;
  esac
  psql --set=ON_ERROR_STOP=1 --set=name="$name" --set=password="$password" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create user :"name" password :'password';
create database :"name" owner :"name";
SQL
done
