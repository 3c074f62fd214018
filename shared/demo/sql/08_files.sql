-- step: large objects
-- Mail attachments: from nothing at all to a megabyte, a third of them text, the rest incompressible like a photo.
insert into support.attachments (message_id, file_name, media_type, content, digest)
select
  1 + pg_temp.roll(number, 311, (select max(id) from support.messages)),
  (array['photo', 'scan', 'receipt', 'lettre signée'])[1 + pg_temp.roll(number, 312, 4)] || ' ' || number || case when number % 3 = 0 then '.txt' else '.jpg' end,
  case when number % 3 = 0 then 'text/plain' else 'image/jpeg' end,
  lo_from_bytea((400000 + number)::oid, content),
  sha256(content)
from (
  select number, case
      when number = 1 then ''::bytea
      when number % 3 = 0 then (
        select convert_to(string_agg(body, E'\n' order by id), 'UTF8') from sentences
        where id between number * 10 and number * 10 + pg_temp.roll(number, 313, {{photo_blocks}} * 4)
      )
      else (
        select string_agg(sha512(int8send({{seed}} * 10000000::bigint + number * 100000 + block)), ''::bytea order by block)
        from generate_series(0, case when number % 12 = 2 then {{photo_blocks}} * 8 else pg_temp.roll(number, 315, {{photo_blocks}}) end) as block
      )
    end as content
  from generate_series(1::bigint, {{large_objects}}) as number
) as made
order by number;

do $$
declare
  number integer;
begin
  for number in 1..{{large_objects}} loop
    execute format('alter large object %s owner to harbour_owner', 400000 + number);
    if number % 5 = 0 then
      execute format('grant select on large object %s to harbour_support', 400000 + number);
    end if;
  end loop;
  execute format('comment on large object %s is %L', 400001, 'An empty file, as mail programs send them');
end
$$;
