-- step: workspaces
insert into accounts.workspaces
select
  pg_temp.token(number, 201)::uuid,
  pg_temp.pick(pg_temp.adjectives(), number, 202) || '-' || pg_temp.pick(pg_temp.nouns(), number, 203) || '-' || number,
  initcap(pg_temp.pick(pg_temp.nouns(), number, 203)) || ' & ' || replace(pg_temp.pick(pg_temp.last_names(), number, 204), '_', ' '),
  (enum_range(null::accounts.plan))[1 + least(pg_temp.roll(number, 205, 3), pg_temp.roll(number, 206, 3))],
  jsonb_build_object('locale', lower(split_part(pg_temp.pick(pg_temp.cities(), number, 207), '|', 2)), 'seats', 1 + pg_temp.roll(number, 208, 50),
    'features', jsonb_build_object('exports', number % 3 = 0, 'sso', number % 11 = 0)),
  timestamptz '2023-02-01 09:00+00' + number * interval '2 days 3 hours'
from generate_series(1::bigint, {{workspaces}}) as number;

insert into accounts.members (id, workspace_id, email, display_name, role, tags, invited_by, last_address, last_seen_at)
select
  number * 4 + seat - 4,
  pg_temp.token(number, 201)::uuid,
  'member' || number || '.' || seat || '@example.com',
  pg_temp.pick(pg_temp.first_names(), number * 4 + seat, 211) || ' ' || replace(pg_temp.pick(pg_temp.last_names(), number * 4 + seat, 212), '_', ' '),
  (enum_range(null::accounts.member_role))[seat],
  case when seat = 1 then '{billing,"on call"}' when seat = 3 then array[pg_temp.pick(pg_temp.nouns(), number, 213), null] else '{}' end,
  case when seat > 1 then number * 4 - 3 end,
  case when pg_temp.roll(number, 214, 2) = 0 then ('2001:db8::' || to_hex(pg_temp.roll(number * 4 + seat, 215, 65535)))::inet end,
  timestamptz '2026-11-20 18:00+00' - pg_temp.roll(number * 4 + seat, 216, 7000000) * interval '1 second'
from generate_series(1::bigint, {{workspaces}}) as number, generate_series(1, 4) as seat;

insert into accounts.api_keys (workspace_id, label, secret_digest, scopes, networks, expires_on)
select
  pg_temp.token(number, 201)::uuid,
  (array['production', 'staging', 'till', 'partner'])[1 + pg_temp.roll(number * 3 + key, 221, 4)] || ' ' || key,
  sha256(convert_to(pg_temp.token(number * 3 + key, 222), 'UTF8')),
  (array['orders:read', 'orders:write', 'products:read', 'stock:write'])[1:1 + pg_temp.roll(number * 3 + key, 223, 4)],
  case when key = 1 then '{10.0.0.0/8,2001:db8::/32}'::cidr[] end,
  case when key = 2 then date '2027-01-31' + (number % 300)::integer end
from generate_series(1::bigint, {{workspaces}}) as number, generate_series(1, 2) as key;

-- step: payments
insert into billing.payments (id, order_id, method, amount, captured_at, details)
select
  pg_temp.token(id, 231)::uuid,
  id,
  (enum_range(null::billing.payment_method))[1 + least(pg_temp.roll(id, 232, 4), pg_temp.roll(id, 233, 4))],
  total,
  case when state <> 'cancelled' then placed_at + pg_temp.roll(id, 234, 3600) * interval '1 second' end,
  case when pg_temp.roll(id, 235, 3) = 0
    then jsonb_build_object('network', (array['visa', 'mastercard', 'girocard'])[1 + pg_temp.roll(id, 236, 3)], 'last4', lpad(pg_temp.roll(id, 237, 10000)::text, 4, '0'),
      'risk', round(pg_temp.roll(id, 238, 1000) / 1000.0, 3)) end
from shop.orders
where state <> 'placed'
order by id;

insert into billing.invoices
select
  to_char(placed_at at time zone 'UTC', 'YYYYMM') || '-' || lpad(nextval('billing.invoice_number')::text, 7, '0'),
  id,
  (placed_at at time zone 'UTC')::date,
  (array['14 days', '30 days', '7 days 12:00:00'])[1 + pg_temp.roll(id, 241, 3)]::interval,
  total::numeric::money,
  pg_temp.roll(id, 242, 65536)::integer::bit(16)
from (select * from shop.orders where id % 3 = 0 and state = 'delivered' order by id) as invoiced;

insert into billing.closed_periods
select daterange(month::date, (month + interval '1 month')::date), 'bookkeeping'
from generate_series(timestamp '2025-06-01', timestamp '2026-10-01', interval '1 month') as month;

-- step: support
insert into support.teams
select number, initcap(noun) || ' desk', number * 5 from unnest(array['order', 'refund', 'night', 'partner']) with ordinality as team (noun, number);

insert into support.agents
select
  number,
  1 + (number - 1) / 5,
  pg_temp.pick(pg_temp.first_names(), number, 251) || ' ' || replace(pg_temp.pick(pg_temp.last_names(), number, 252), '_', ' '),
  array['en', (array['de', 'fr', 'es', 'pt', 'tr'])[1 + pg_temp.roll(number, 253, 5)]]::char(2)[],
  '07:00+00'::timetz + (number % 3) * interval '8 hours',
  '15:00+00'::timetz + (number % 3) * interval '8 hours'
from generate_series(1, 20) as number;

insert into support.tickets (id, customer_id, order_id, agent_id, subject, state, priority, labels, opened_at, answered)
select
  number,
  coalesce(o.customer_id, 1 + pg_temp.roll(number, 261, {{customers}})),
  o.id,
  case when number < {{tickets}} * 0.99 then 1 + pg_temp.roll(number, 262, 20) end,
  initcap(pg_temp.pick(pg_temp.adjectives(), number, 263)) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 264) || ' ' || pg_temp.pick(pg_temp.links(), number, 265) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 266),
  case when number < {{tickets}} * 0.97 then 'solved' when number % 2 = 0 then 'open' else 'waiting' end::support.ticket_state,
  (array['l', 'n', 'n', 'n', 'h'])[1 + pg_temp.roll(number, 267, 5)]::"char",
  case when number % 4 = 0 then array[pg_temp.pick(pg_temp.nouns(), number, 268)] else '{}' end,
  opened_at,
  case when number < {{tickets}} * 0.97 then tstzrange(opened_at, opened_at + pg_temp.roll(number, 269, 90000) * interval '1 second') end
from (
  select number, timestamptz '2025-07-01 07:00+00' + number * (43800000.0 / {{tickets}}) * interval '1 second' as opened_at
  from generate_series(1::bigint, {{tickets}}) as number
) as ticket
left join shop.orders as o on o.id = 1000001 + pg_temp.roll(number, 270, {{orders}}) and number % 3 > 0;

insert into support.messages (id, ticket_id, from_customer, body, sent_at)
select
  row_number() over (order by ticket.id, turn),
  ticket.id,
  turn % 2 = 1,
  case when turn % 2 = 1 then E'Hello,\n' else E'Dear customer,\n' end || s1.body || ' ' || s2.body || coalesce(E'\n' || s3.body, '') || coalesce(' ' || s4.body, ''),
  ticket.opened_at + (turn - 1) * interval '5 hours 20 minutes'
from
  support.tickets as ticket
  cross join lateral generate_series(1, 1 + pg_temp.roll(ticket.id, 271, 5)::integer) as turn
  join sentences as s1 on s1.id = pg_temp.roll(ticket.id * 8 + turn, 272, {{sentences}})
  join sentences as s2 on s2.id = pg_temp.roll(ticket.id * 8 + turn, 273, {{sentences}})
  left join sentences as s3 on s3.id = pg_temp.roll(ticket.id * 8 + turn, 274, {{sentences}}) and turn < 4
  left join sentences as s4 on s4.id = pg_temp.roll(ticket.id * 8 + turn, 275, {{sentences}}) and ticket.id % 2 = 0
order by ticket.id, turn;

-- step: events
insert into analytics.events
select
  number,
  timestamptz '2025-12-01 00:00+00' + number * (30585600.0 / {{events}}) * interval '1 second',
  pg_temp.token(number / 6, 281)::uuid,
  case when pg_temp.roll(number / 6, 282, 3) > 0 then 1 + pg_temp.roll(number / 6, 283, {{customers}}) end,
  kind,
  case kind when 'view' then '/products/' || 1 + pg_temp.roll(number, 285, {{products}}) when 'search' then '/search?q=' || pg_temp.pick(pg_temp.nouns(), number, 286)
    when 'basket' then '/basket' else '/account/' || pg_temp.pick(pg_temp.nouns(), number, 287) end,
  case when pg_temp.roll(number, 288, 3) > 0
    then jsonb_build_object('referrer', pg_temp.pick(pg_temp.nouns(), number, 289) || '.example', 'screen', array[320 + 8 * pg_temp.roll(number, 290, 240), 480 + 8 * pg_temp.roll(number, 291, 200)],
      'experiment', chr((65 + pg_temp.roll(number / 6, 292, 4))::integer), 'scrolled', round(pg_temp.roll(number, 293, 1001) / 1000.0, 3)) end,
  pg_temp.roll(number, 294, 90000) / 64.0
from (
  select number, (array['view', 'view', 'view', 'view', 'search', 'basket', 'account'])[1 + pg_temp.roll(number, 284, 7)] as kind
  from generate_series(1::bigint, {{events}}) as number
) as event;

insert into analytics.signals
select timestamptz '2026-11-01 00:00+00' + number * interval '10 minutes', 'queue length', pg_temp.roll(number, 301, 900) / 7.0
from generate_series(1::bigint, 2000) as number;

insert into analytics.web_signals
select timestamptz '2026-11-01 00:00+00' + number * interval '10 minutes', 'largest paint', exp(pg_temp.roll(number, 302, 500) / 200.0), '/products'
from generate_series(1::bigint, 2000) as number;
