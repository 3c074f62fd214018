-- step: keys
alter table accounts.workspaces add primary key (id), add constraint workspaces_slug_key unique (slug);
alter table accounts.members add primary key (id), add constraint members_email_key unique nulls not distinct (workspace_id, email);
alter table accounts.api_keys add primary key (id);
alter table shop.countries add primary key (code);
alter table shop.categories add primary key (id), add check (parent_id <> id);
alter table shop.products add primary key (id), add constraint products_sku_key unique (sku) include (name),
  add constraint products_weigh_something check (weight_grams > 0) not valid;
alter table shop.products validate constraint products_weigh_something;
alter table shop.price_changes add primary key (product_id, valid);
alter table shop.customers add primary key (id), add constraint customers_email_key unique (email);
alter table shop.addresses add primary key (customer_id, position), add constraint position_counts_from_one check (position >= 1);
alter table shop.orders add primary key (id);
alter table shop.order_lines add primary key (order_id, line), add check (quantity > 0), add check (discount between 0 and 0.9);
alter table shop.reviews add primary key (id), add constraint stars_are_one_to_five check (stars between 1 and 5);
alter table shop.carts add primary key (id);
alter table billing.payments add primary key (id);
alter table billing.invoices add primary key (number), add constraint invoices_order_key unique (order_id) deferrable initially deferred;
alter table billing.closed_periods add constraint periods_do_not_overlap exclude using gist (period with &&);
alter table support.teams add primary key (id);
alter table support.agents add primary key (id);
alter table support.tickets add primary key (id);
alter table support.messages add primary key (id);
alter table support.attachments add primary key (id);
alter table analytics.events add primary key (happened_at, id);
alter table audit.changes add primary key (id);

-- step: foreign keys
alter table accounts.members add foreign key (workspace_id) references accounts.workspaces on delete cascade,
  add foreign key (invited_by) references accounts.members on delete set null;
alter table accounts.api_keys add foreign key (workspace_id) references accounts.workspaces on delete cascade;
alter table shop.categories add foreign key (parent_id) references shop.categories;
alter table shop.products add foreign key (category_id) references shop.categories;
alter table shop.price_changes add foreign key (product_id) references shop.products on delete cascade;
alter table shop.customers add foreign key (country_code) references shop.countries on update cascade;
alter table shop.addresses add foreign key (customer_id) references shop.customers on delete cascade,
  add foreign key (country_code) references shop.countries on update cascade;
alter table shop.orders add foreign key (customer_id) references shop.customers,
  add constraint orders_address_fkey foreign key (customer_id, address_position) references shop.addresses match full;
alter table shop.order_lines add foreign key (order_id) references shop.orders on delete cascade,
  add foreign key (product_id) references shop.products;
alter table shop.stock_movements add foreign key (product_id) references shop.products;
alter table shop.reviews add foreign key (product_id) references shop.products, add foreign key (customer_id) references shop.customers;
alter table shop.carts add foreign key (customer_id) references shop.customers on delete cascade;
alter table billing.payments add foreign key (order_id) references shop.orders;
alter table billing.invoices add foreign key (order_id) references shop.orders;
alter table support.teams add foreign key (lead_id) references support.agents deferrable initially deferred;
alter table support.agents add foreign key (team_id) references support.teams;
alter table support.tickets add foreign key (customer_id) references shop.customers, add foreign key (order_id) references shop.orders,
  add foreign key (agent_id) references support.agents on delete set null;
alter table support.messages add foreign key (ticket_id) references support.tickets on delete cascade;
alter table support.attachments add foreign key (message_id) references support.messages on delete cascade;
alter table audit.retractions add foreign key (change_id) references audit.changes;

-- step: indexes
create index members_tags_idx on accounts.members using gin (tags);
create index products_search_idx on shop.products using gin (search);
create index products_attributes_idx on shop.products using gin (attributes jsonb_path_ops);
create index customers_name_idx on shop.customers (lower(last_name), lower(first_name));
create index addresses_location_idx on shop.addresses using gist (location) where location is not null;
create index orders_customer_idx on shop.orders (customer_id, placed_at desc) include (total);
create index orders_open_idx on shop.orders (placed_at) where state in ('placed', 'paid', 'packed');
create index order_lines_product_idx on shop.order_lines (product_id);
create index reviews_product_idx on shop.reviews (product_id, stars desc nulls last) with (fillfactor = 90);
create index payments_order_idx on billing.payments using hash (order_id);
create index payments_day_idx on billing.payments (((captured_at at time zone 'UTC')::date));
create index messages_ticket_idx on support.messages (ticket_id);
create index events_time_idx on analytics.events using brin (happened_at);
create statistics shop.orders_state_and_currency (dependencies, mcv) on state, currency from shop.orders;
alter table shop.orders alter column customer_id set statistics 500;
alter table shop.customers cluster on customers_pkey;
alter table support.messages alter column body set storage external;

-- step: sequences
select setval('shop.order_number', 1000000 + {{orders}});
select setval(pg_get_serial_sequence('accounts.members', 'id'), {{workspaces}} * 4);
select setval(pg_get_serial_sequence('shop.customers', 'id'), {{customers}});
select setval(pg_get_serial_sequence('support.tickets', 'id'), {{tickets}});
select setval(pg_get_serial_sequence('support.messages', 'id'), (select max(id) from support.messages));
select nextval('support.rota');
