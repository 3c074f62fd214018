-- Roles belong to the whole server, so they may be there already. None may log in with a password.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['harbour_owner', 'harbour_app', 'harbour_support', 'harbour_reader'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      execute pg_catalog.format('create role %I nologin', wanted);
    end if;
  end loop;
end
$$;

grant harbour_reader to harbour_support;
grant harbour_reader to harbour_app;
alter role harbour_app set statement_timeout = '30s';
comment on role harbour_reader is 'Reads everything that holds no personal data';

-- step: settings
do $$
begin
  if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    grant harbour_owner to current_user;
  end if;
  execute pg_catalog.format('grant create on database %I to harbour_owner', current_database());
  execute pg_catalog.format('alter database %I set default_text_search_config = %L', current_database(), 'pg_catalog.english');
  execute pg_catalog.format('alter role harbour_support in database %I set search_path = support, shop', current_database());
  execute pg_catalog.format('comment on database %I is %L', current_database(), 'Harbour, a marketplace that does not exist');
end
$$;
