-- step: products
insert into shop.countries
select code, name, vat, format('[%s,%s)', floor_price, floor_price + 5000)::shop.price_range
from (
  values ('PT', 'Portugal', 23, 1), ('ES', 'España', 21, 1), ('FR', 'France', 20, 1), ('BE', 'België', 21, 1),
    ('NL', 'Nederland', 21, 1), ('DE', 'Deutschland', 19, 1), ('CH', 'Schweiz', 8.1, 2), ('AT', 'Österreich', 20, 1),
    ('IT', 'Italia', 22, 1), ('DK', 'Danmark', 25, 8), ('SE', 'Sverige', 25, 12), ('NO', 'Norge', 25, 12), ('FI', 'Suomi', 25.5, 1),
    ('EE', 'Eesti', 24, 1), ('LV', 'Latvija', 21, 1), ('PL', 'Polska', 23, 5), ('CZ', 'Česko', 21, 25), ('HU', 'Magyarország', 27, 400),
    ('RO', 'România', 21, 5), ('TR', 'Türkiye', 20, 40), ('GR', 'Ελλάδα', 24, 1), ('IE', 'Ireland', 23, 1), ('GB', 'United Kingdom', 20, 1),
    ('US', 'United States', 0, 1), ('CA', 'Canada', 5, 2), ('JP', '日本', 10, 150), ('KR', '대한민국', 10, 1500), ('SG', 'Singapore', 9, 2),
    ('IN', 'भारत', 18, 90), ('AU', 'Australia', 10, 2), ('NZ', 'New Zealand', 15, 2)
) as country (code, name, vat, floor_price);

insert into shop.categories
select
  number,
  case when number > 12 then 1 + pg_temp.roll(number, 21, 12) end,
  initcap(pg_temp.pick(pg_temp.adjectives(), number, 22)) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 23) || 's',
  number / 7.0
from generate_series(1, 72) as number;

insert into shop.products (id, category_id, sku, name, description, price, weight_grams, size, colours, attributes, listed_at)
select
  number,
  13 + pg_temp.roll(number, 31, 60),
  upper(substr(pg_temp.token(number, 32), 1, 3)) || '-' || lpad(number::text, 6, '0'),
  initcap(pg_temp.pick(pg_temp.adjectives(), number, 33)) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 34) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 35),
  s1.body || ' ' || s2.body || ' ' || s3.body || coalesce(' ' || s4.body, ''),
  (2 + pg_temp.roll(number, 36, 120) * pg_temp.roll(number, 37, 90) / 10.0)::numeric(12, 2),
  case when pg_temp.roll(number, 38, 12) > 0 then 20 + pg_temp.roll(number, 39, 40000) end,
  case when pg_temp.roll(number, 40, 5) > 0
    then row(10 + pg_temp.roll(number, 41, 900), 10 + pg_temp.roll(number, 42, 900), 5 + pg_temp.roll(number, 43, 400))::shop.dimensions end,
  (enum_range(null::shop.colour))[1:1 + pg_temp.roll(number, 44, 4)],
  jsonb_build_object('material', pg_temp.pick(pg_temp.nouns(), number, 45), 'warranty_months', 6 * pg_temp.roll(number, 46, 11),
    'energy', chr((65 + pg_temp.roll(number, 47, 7))::integer), 'tags', array[pg_temp.pick(pg_temp.adjectives(), number, 48), pg_temp.pick(pg_temp.adjectives(), number, 49)]),
  timestamptz '2022-01-01 08:00+00' + pg_temp.roll(number, 50, 140000000) * interval '1 second'
from
  generate_series(1, {{products}}) as number
  join sentences as s1 on s1.id = pg_temp.roll(number, 51, {{sentences}})
  join sentences as s2 on s2.id = pg_temp.roll(number, 52, {{sentences}})
  join sentences as s3 on s3.id = pg_temp.roll(number, 53, {{sentences}})
  left join sentences as s4 on s4.id = pg_temp.roll(number, 54, {{sentences}}) and number % 2 = 0
order by number;

insert into shop.price_changes
select
  product.id,
  daterange(date '2024-01-01' + 180 * step, case when step < 4 then date '2024-01-01' + 180 * (step + 1) end),
  round(product.price * (90 + pg_temp.roll(product.id * 8 + step, 55, 25)) / 100, 2)
from shop.products as product, generate_series(0, 4) as step
order by product.id, step;

-- step: customers
insert into shop.customers (id, first_name, last_name, email, phone, born_on, country_code, newsletter, preferences, registered_at)
select
  number,
  first_name,
  last_name,
  translate(lower(first_name || '.' || last_name), 'áàâäåãąçčéèêëęğíîïıłńñóôöøòőśšúüűùýźžžß'' ', 'aaaaaaacceeeeegiiiilnnoooooossuuuuyzzzs')
    || number || '@' || (array['example.com', 'example.org', 'example.net', 'mail.example'])[1 + pg_temp.roll(number, 63, 4)],
  case when pg_temp.roll(number, 64, 3) > 0 then '+' || 30 + pg_temp.roll(number, 65, 60) || ' ' || 100000000 + pg_temp.roll(number, 66, 899999999) end,
  case when pg_temp.roll(number, 67, 2) = 0 then date '1945-01-01' + pg_temp.roll(number, 68, 22000)::integer end,
  split_part(pg_temp.pick(pg_temp.cities(), number, 69), '|', 2),
  pg_temp.roll(number, 70, 3) = 0,
  case when pg_temp.roll(number, 71, 4) = 0
    then jsonb_build_object('language', lower(split_part(pg_temp.pick(pg_temp.cities(), number, 69), '|', 2)), 'theme', (array['light', 'dark'])[1 + number % 2],
      'interests', array[pg_temp.pick(pg_temp.nouns(), number, 72), pg_temp.pick(pg_temp.nouns(), number, 73)]) end,
  timestamptz '2021-03-01 00:00+00' + (number * (180000000.0 / {{customers}}) + pg_temp.roll(number, 74, 80000)) * interval '1 second'
from (
  select number, pg_temp.pick(pg_temp.first_names(), number, 61) as first_name,
    replace(pg_temp.pick(pg_temp.last_names(), number, 62), '_', ' ') as last_name
  from generate_series(1, {{customers}}) as number
  offset 0
) as person;

insert into shop.addresses
select
  number,
  position,
  case when position > 1 then pg_temp.pick(pg_temp.first_names(), number, 81) || ' ' || replace(pg_temp.pick(pg_temp.last_names(), number, 82), '_', ' ') end,
  pg_temp.pick(pg_temp.streets(), number * 3 + position, 83) || ' ' || pg_temp.pick(pg_temp.street_kinds(), number * 3 + position, 84) || ' '
    || 1 + pg_temp.roll(number * 3 + position, 85, 180),
  lpad(pg_temp.roll(number * 3 + position, 86, 99999)::text, 5, '0'),
  split_part(pg_temp.pick(pg_temp.cities(), number, 69), '|', 1),
  split_part(pg_temp.pick(pg_temp.cities(), number, 69), '|', 2),
  case when position = 1 then point(pg_temp.roll(number, 87, 1800000) / 10000.0 - 90, pg_temp.roll(number, 88, 3600000) / 10000.0 - 180) end
from generate_series(1, {{customers}}) as number, generate_series(1, 1 + (pg_temp.roll(number, 80, 4) = 0)::integer) as position;

-- step: orders
insert into shop.order_lines (order_id, line, product_id, quantity, unit_price, discount)
select
  1000000 + rolled.number,
  rolled.line,
  product.id,
  1 + least(pg_temp.roll(rolled.key, 91, 6), pg_temp.roll(rolled.key, 92, 6)),
  product.price,
  (array[0, 0, 0, 0, 0.05, 0.1, 0.125])[1 + pg_temp.roll(rolled.key, 93, 7)]
from (
  select number, line, number * 8 + line as key,
    1 + least(pg_temp.roll(number * 8 + line, 94, {{products}}), pg_temp.roll(number * 8 + line, 95, {{products}})) as product_id
  from generate_series(1::bigint, {{orders}}) as number, generate_series(1, 1 + pg_temp.roll(number, 96, 5)::integer) as line
) as rolled
join shop.products as product on product.id = rolled.product_id
order by rolled.number, rolled.line;

insert into shop.orders (id, customer_id, address_position, state, placed_at, total, currency, client_address, note)
select
  placed.id,
  1 + pg_temp.roll(placed.number, 101, {{customers}}),
  1,
  case
    when placed.number > {{orders}} * 0.995 then (array['placed', 'paid', 'packed'])[1 + pg_temp.roll(placed.number, 102, 3)]
    when pg_temp.roll(placed.number, 103, 25) = 0 then (array['returned', 'cancelled'])[1 + pg_temp.roll(placed.number, 104, 2)]
    else 'delivered'
  end::shop.order_state,
  timestamptz '2025-06-01 00:00+00' + (placed.number * (46396800.0 / {{orders}}) - pg_temp.roll(placed.number, 105, 900)) * interval '1 second',
  placed.total,
  case when pg_temp.roll(placed.number, 106, 8) = 0 then 'USD' else 'EUR' end,
  ('10.' || pg_temp.roll(placed.number, 107, 256) || '.' || pg_temp.roll(placed.number, 108, 256) || '.' || pg_temp.roll(placed.number, 109, 256))::inet,
  sentence.body
from (
  select order_id as id, order_id - 1000000 as number, sum(amount)::numeric(12, 2) as total
  from shop.order_lines group by order_id
) as placed
left join sentences as sentence on sentence.id = pg_temp.roll(placed.number, 110, {{sentences}}) and pg_temp.roll(placed.number, 111, 9) = 0
order by placed.id;

-- step: stock and carts
insert into shop.stock_movements
select
  1 + pg_temp.roll(number, 121, {{products}}),
  timestamp '2026-01-01 06:00' + number * interval '700 seconds',
  (pg_temp.roll(number, 122, 400) - 120)::integer,
  (array['delivery', 'sale', 'return', 'count', 'damage'])[1 + pg_temp.roll(number, 123, 5)]
from generate_series(1::bigint, {{products}} * 9) as number;

insert into shop.carts
select
  pg_temp.token(number, 131)::uuid,
  case when pg_temp.roll(number, 132, 3) > 0 then 1 + pg_temp.roll(number, 133, {{customers}}) end,
  jsonb_build_array(jsonb_build_object('product', 1 + pg_temp.roll(number, 134, {{products}}), 'quantity', 1 + pg_temp.roll(number, 135, 3)),
    jsonb_build_object('product', 1 + pg_temp.roll(number, 136, {{products}}), 'quantity', 1)),
  timestamptz '2026-11-18 00:00+00' + pg_temp.roll(number, 137, 1209600) * interval '1 second'
from generate_series(1::bigint, {{carts}}) as number;

-- step: reviews
insert into shop.reviews (product_id, customer_id, stars, title, body, helpful_count, written_at)
select
  1 + pg_temp.roll(number, 141, {{products}}),
  1 + pg_temp.roll(number, 142, {{customers}}),
  5 - least(pg_temp.roll(number, 143, 5), pg_temp.roll(number, 144, 5)),
  case when pg_temp.roll(number, 145, 4) > 0 then initcap(pg_temp.pick(pg_temp.adjectives(), number, 146)) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 147) end,
  s1.body || ' ' || s2.body || coalesce(E'\n\n' || s3.body, '') || coalesce(' ' || s4.body, ''),
  least(pg_temp.roll(number, 148, 60), pg_temp.roll(number, 149, 60), pg_temp.roll(number, 150, 60)),
  timestamptz '2025-06-20 12:00+00' + number * (44600000.0 / {{reviews}}) * interval '1 second'
from
  generate_series(1::bigint, {{reviews}}) as number
  join sentences as s1 on s1.id = pg_temp.roll(number, 151, {{sentences}})
  join sentences as s2 on s2.id = pg_temp.roll(number, 152, {{sentences}})
  left join sentences as s3 on s3.id = pg_temp.roll(number, 153, {{sentences}}) and number % 2 = 0
  left join sentences as s4 on s4.id = pg_temp.roll(number, 154, {{sentences}}) and number % 3 = 0
order by number;
