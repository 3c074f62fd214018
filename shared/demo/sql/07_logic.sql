-- step: functions
set role harbour_owner;

-- The instant that triggers record. A replayed day says which it is; in real life it is simply now.
create function shop.present() returns timestamptz
  language sql stable
  set search_path = ''
  return coalesce(nullif(current_setting('harbour.present', true), '')::timestamptz, statement_timestamp());

create function shop.touch() returns trigger
  language plpgsql
  set search_path = ''
  as $$
begin
  new.updated_at := shop.present();
  return new;
end
$$;

create function audit.record_change() returns trigger
  language plpgsql
  security definer
  set search_path = ''
  as $$
begin
  insert into audit.changes (changed_at, relation, action, before, after, actor)
  values (shop.present(), tg_table_schema || '.' || tg_table_name, lower(tg_op),
    case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end, session_user);
  return null;
end
$$;

create function shop.forbid_discount_on_closed_period() returns trigger
  language plpgsql
  set search_path = ''
  as $$
begin
  if exists (select from billing.closed_periods where period @> (new.placed_at at time zone 'UTC')::date) then
    raise exception 'order % belongs to a closed period', new.id using errcode = 'check_violation';
  end if;
  return null;
end
$$;

create function shop.order_total(order_id bigint) returns numeric
  language sql stable
  begin atomic
    select coalesce(sum(line.amount), 0) from shop.order_lines as line where line.order_id = order_total.order_id;
  end;

create function shop.in_stock(product integer, out quantity bigint, out last_moved_at timestamp)
  language sql stable parallel safe cost 200
  as 'select sum(quantity), max(moved_at) from shop.stock_movements where product_id = product';

create function shop.search_products(query text, variadic wanted shop.colour[] default '{}') returns setof shop.products
  language sql stable rows 50
  as $$
  select * from shop.products
  where search @@ websearch_to_tsquery('pg_catalog.english', query) and (wanted = '{}' or colours && wanted)
  $$;

create procedure shop.expire_carts(before timestamptz)
  language plpgsql
  as $$
begin
  delete from shop.carts where expires_at < before;
end
$$;

create aggregate shop.longest(text) (
  sfunc = textcat, stype = text, initcond = ''
);

create function shop.cents(shop.amount) returns bigint language sql immutable strict as 'select (($1)::numeric * 100)::bigint';
create cast (shop.price_range as text) with inout as assignment;
create operator shop.=~= (leftarg = text, rightarg = text, procedure = texteq);
create text search configuration shop.plain (copy = pg_catalog.simple);

comment on function shop.order_total(bigint) is 'Sum of the lines; equals orders.total';

-- step: triggers
create trigger touch before update of first_name, last_name, email, phone on shop.customers for each row execute function shop.touch();
create trigger touch before update of state on shop.orders for each row execute function shop.touch();
create trigger touch before update on support.tickets for each row execute function shop.touch();
create trigger record_change after insert or update or delete on accounts.members for each row execute function audit.record_change();
create trigger record_change after update of price on shop.products for each row execute function audit.record_change();
create constraint trigger forbid_closed_period after insert on shop.orders deferrable initially deferred
  for each row execute function shop.forbid_discount_on_closed_period();
alter table accounts.members disable trigger record_change;

-- step: views
create view shop.open_orders with (security_barrier) as
  select id, customer_id, state, placed_at, total from shop.orders
  where state in ('placed', 'paid', 'packed')
  with local check option;

create recursive view shop.category_paths (id, path) as
  select id, array[name] from shop.categories where parent_id is null
  union all
  select c.id, p.path || c.name from shop.categories as c join category_paths as p on p.id = c.parent_id;

create view support.inbox with (security_invoker) as
  select t.id, t.subject, t.state, c.first_name || ' ' || c.last_name as customer, count(m.id) as message_count
  from support.tickets as t
  join shop.customers as c on c.id = t.customer_id
  left join support.messages as m on m.ticket_id = t.id
  where t.state <> 'solved'
  group by t.id, c.id;

create view audit.recent as select * from audit.changes order by id desc limit 100;
create rule never_changed as on delete to audit.recent do instead nothing;

create function support.reply_from_inbox() returns trigger
  language plpgsql
  set search_path = ''
  as $$
begin
  update support.tickets set state = new.state where id = new.id;
  return new;
end
$$;
create trigger reply instead of update on support.inbox for each row execute function support.reply_from_inbox();

create materialized view analytics.daily_revenue as
  select (placed_at at time zone 'UTC')::date as day, currency, count(*) as orders, sum(total) as revenue
  from shop.orders
  where state not in ('cancelled', 'returned')
  group by 1, 2
  order by 1, 2;
create unique index daily_revenue_key on analytics.daily_revenue (day, currency);

create materialized view analytics.yearly_report as
  select extract(year from day) as year, sum(revenue) as revenue from analytics.daily_revenue group by 1
  with no data;

-- step: row security
alter table accounts.workspaces enable row level security;
alter table accounts.members enable row level security;
alter table accounts.api_keys enable row level security;
alter table accounts.api_keys force row level security;
alter table support.tickets enable row level security;

create policy own_workspace on accounts.workspaces to harbour_app
  using (id = nullif(current_setting('harbour.workspace', true), '')::uuid);
create policy same_workspace on accounts.members to harbour_app
  using (workspace_id = nullif(current_setting('harbour.workspace', true), '')::uuid)
  with check (role <> 'owner');
create policy keys_of_own_workspace on accounts.api_keys for select to harbour_app
  using (workspace_id = nullif(current_setting('harbour.workspace', true), '')::uuid);
create policy not_expired on accounts.api_keys as restrictive for select to harbour_app
  using (expires_on is null or expires_on > date '2026-01-01');
create policy support_sees_all on support.tickets to harbour_support using (true) with check (agent_id is not null);

-- step: grants
grant usage on schema accounts, shop, billing, support, analytics to harbour_reader;
grant select on all tables in schema shop, analytics to harbour_reader;
grant select, insert, update, delete on all tables in schema accounts, shop to harbour_app;
grant usage on all sequences in schema shop to harbour_app;
grant select, update (state, agent_id, labels) on support.tickets to harbour_support;
grant select, insert on support.messages to harbour_support with grant option;
grant select (id, order_id, method, captured_at) on billing.payments to harbour_reader;
revoke execute on function audit.record_change() from public;
revoke all on function shop.present() from public;
grant execute on function shop.present() to harbour_app;
revoke usage on type shop.price_range from public;
alter default privileges in schema shop grant select on tables to harbour_reader;
alter default privileges in schema shop revoke execute on functions from public;

-- step: comments
comment on table shop.orders is 'One row per order; lines are in shop.order_lines';
comment on column shop.customers.number is E'What customers read on their letters: \'C-0000042\'';
comment on constraint periods_do_not_overlap on billing.closed_periods is 'A day is closed once';
comment on index shop.orders_open_idx is 'The warehouse''s list';
comment on policy not_expired on accounts.api_keys is 'A restrictive policy narrows every other';
comment on trigger touch on shop.orders is 'Keeps updated_at';
comment on type shop.order_state is 'In the order of an order''s life';
comment on materialized view analytics.daily_revenue is 'Refreshed every night';

reset role;
create publication harbour_orders for table shop.orders, shop.customers (id, country_code, registered_at) where (id > 0);
