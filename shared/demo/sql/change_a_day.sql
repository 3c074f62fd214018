-- One day in the life of the shop. {{day}} counts from 1, the day after the sample was built.
-- Most tables are not touched: customers, addresses, reviews, invoices, messages, older partitions and files.

-- step: the day begins
select set_config('harbour.present', (timestamptz '2026-11-20 20:00+00' + {{day}} * interval '1 day')::text, false);

create function pg_temp.roll(key bigint, salt integer, sides bigint) returns bigint
  language sql immutable as
  'select (hashint8extended(key, {{seed}} * 1000::bigint + {{day}} * 1000000::bigint + salt) & 9223372036854775807) % sides';

create temp table placed as
select
  nextval('shop.order_number') as id, number, o.customer_id,
  timestamptz '2026-11-20 20:00+00' + ({{day}} - 1) * interval '1 day' + number * interval '150 seconds' as placed_at
from generate_series(1, (select count(*) / 250 from shop.orders)) as number
join lateral (
  select customer_id from shop.orders where id = 1000001 + pg_temp.roll(number, 1, (select count(*) from shop.orders))
) as o on true
order by number;

-- step: orders
with lines as (
  select placed.id, line, product.id as product_id, 1 + pg_temp.roll(number * 4 + line, 3, 3)::integer as quantity, product.price
  from placed, generate_series(1, 1 + pg_temp.roll(number, 2, 3)::integer) as line
  join lateral (
    select id, price from shop.products where id = 1 + pg_temp.roll(number * 4 + line, 4, (select count(*) from shop.products))
  ) as product on true
), orders as (
  insert into shop.orders (id, customer_id, address_position, placed_at, total)
  select placed.id, placed.customer_id, 1, placed.placed_at, sum(quantity * price)
  from placed join lines using (id)
  group by 1, 2, 3, 4 order by 1
)
insert into shop.order_lines (order_id, line, product_id, quantity, unit_price)
select id, line, product_id, quantity, price from lines order by id, line;

update shop.orders set state = 'delivered'
where id in (select id from shop.orders where state in ('placed', 'paid', 'packed') and id not in (select id from placed) order by id limit (select count(*) from placed));

insert into billing.payments (id, order_id, method, amount, captured_at)
select md5(id::text || ':paid')::uuid, id, 'card', (select total from shop.orders where orders.id = placed.id), placed_at + interval '90 seconds'
from placed where number % 10 > 0 order by id;

delete from shop.carts where expires_at < current_setting('harbour.present')::timestamptz;

update shop.products set price = price + 1 where id = {{day}};

-- step: support
update support.tickets set state = 'solved', labels = labels || '{"answered today"}'
where id in (select id from support.tickets where state <> 'solved' order by id limit 40);

insert into support.tickets (customer_id, order_id, subject, opened_at)
select customer_id, id, 'Where is order ' || id || '?', placed_at + interval '3 hours' from placed where number % 20 = 0 order by id;

insert into support.attachments (message_id, file_name, media_type, content, digest)
select 1 + {{day}}, 'photo of day ' || {{day}} || '.jpg', 'image/jpeg', lo_from_bytea((500000 + {{day}})::oid, content), sha256(content)
from (
  select string_agg(sha256(convert_to(block || ':{{day}}:{{seed}}', 'UTF8')), ''::bytea order by block) as content
  from generate_series(1, 6000) as block
) as photo;
alter large object {{large_object}} owner to harbour_owner;

-- step: events
insert into analytics.events
select
  10000000 + {{day}} * 100000 + number, placed_at + number * interval '1 second', md5(number || ':session:{{day}}')::uuid, customer_id, 'view',
  '/products/' || pg_temp.roll(number, 5, 4000), jsonb_build_object('referrer', 'mail', 'scrolled', round(pg_temp.roll(number, 6, 1001) / 1000.0, 3)), 12.5
from placed;

-- step: the day ends
refresh materialized view analytics.daily_revenue;
