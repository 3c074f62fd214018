-- What names and sentences are made of. Chosen by hash, never by random(): the same seed gives the same database.

-- step: vocabulary
-- Functions, not a table: the planner folds each into a constant, so that a word is picked without unpacking its list.
create function pg_temp.first_names() returns text[] language sql immutable as $$ select
  string_to_array('Ada Adam Agnes Ahmed Aiko Alan Alba Amara Amélie Ana Anders André Anika Anna Anton Aoife Arjun Astrid Aylin Bea '
    'Ben Björn Bruno Camila Carlos Chen Chiara Chloé Clara Daan Daniel David Diego Dmitri Ebba Elena Elif Elin Emeka Emil '
    'Emma Erik Esra Ethan Eva Farah Fatima Felix Fiona Freya Gabriel George Greta Grace Hana Hanna Hassan Helen Hugo Ida '
    'Ines Ingrid Isabel Ivan Jack James Jana Jesús João Johanna José Julia Juan Kaito Karim Katja Kenji Lars Laura Layla '
    'Lena Leo Lina Linh Liam Louis Łukasz Lucía Maja Marco Maria Marta Mateo Mei Mia Mikael Mina Mohamed Nadia Naomi Nina '
    'Noah Noor Nora Oleg Olga Oliver Omar Oscar Paula Pavel Pedro Petra Priya Rafael Rania Ravi Rosa Sam Sana Sara Sean '
    'Selin Sofia Sören Stefan Sven Tariq Teresa Thandi Theo Thomas Tom Ulla Uma Vera Viktor Wei Yara Yusuf Zoë', ' ') $$;

create function pg_temp.last_names() returns text[] language sql immutable as $$ select
  string_to_array('Abbott Ahmed Almeida Andersson Bakker Banerjee Bauer Becker Bennett Bergström Bianchi Brown Bürgi Carter Castro Chan '
    'Chen Clarke Cohen Conti Costa Da_Silva Davies De_Vries Dubois Duarte Eriksson Evans Fernández Ferrari Fischer Fleming '
    'Fournier Fuchs García Gomes González Gupta Hall Hansen Haugen Hernández Hoffmann Horváth Hughes Ibrahim Ito Ivanova '
    'Jansen Johansson Jones Joshi Kaya Keller Khan Kim Kowalski Kovács Kumar Lam Laurent Lee Lehmann Lewis Li Lindqvist '
    'López Martin Martínez Mayer McKenna Mendes Meyer Moore Moreau Müller Murphy Nakamura Ng Nguyen Nielsen Novák Nowak '
    'O''Brien O''Connor Okafor Olsen Osei Özdemir Park Patel Pereira Pérez Petrov Popescu Reid Ricci Richter Rivera Rossi '
    'Roux Russo Sánchez Santos Sato Schmidt Schneider Schulz Shah Silva Singh Smirnov Smith Søndergaard Suzuki Takahashi '
    'Tanaka Taylor Thompson Torres Tran Turner Van_Dijk Vargas Virtanen Vogel Wagner Walker Wang Weber White Williams '
    'Wilson Wójcik Wong Wood Wright Yamada Yang Yılmaz Young Zhang Zimmermann', ' ') $$;

create function pg_temp.streets() returns text[] language sql immutable as $$ select
  string_to_array('Harbour Mill Station Church Garden Castle Market School Park River Bridge Forest Hill Lake King Queen Linden Oak '
    'Birch Maple Rose Spring Summer Meadow Chapel Tower Orchard Weaver Baker Miller Potter Smith North South East West', ' ') $$;

create function pg_temp.street_kinds() returns text[] language sql immutable as $$ select
  string_to_array('Street|Road|Lane|Avenue|Way|Square|Row|Hill|Gardens|Quay', '|') $$;

create function pg_temp.cities() returns text[] language sql immutable as $$ select
  string_to_array('Lisbon|PT,Porto|PT,Madrid|ES,Málaga|ES,Bilbao|ES,Paris|FR,Lyon|FR,Nantes|FR,Gent|BE,Utrecht|NL,Rotterdam|NL,Köln|DE,'
    'Leipzig|DE,München|DE,Zürich|CH,Genève|CH,Wien|AT,Graz|AT,Milano|IT,Torino|IT,Århus|DK,Malmö|SE,Göteborg|SE,Bergen|NO,'
    'Helsinki|FI,Tallinn|EE,Rīga|LV,Gdańsk|PL,Kraków|PL,Brno|CZ,Győr|HU,Cluj|RO,İzmir|TR,Αθήνα|GR,Dublin|IE,Galway|IE,Bristol|GB,'
    'Leeds|GB,Glasgow|GB,Boston|US,Austin|US,Portland|US,Toronto|CA,Montréal|CA,Osaka|JP,京都|JP,Seoul|KR,Singapore|SG,'
    'Pune|IN,Kochi|IN,Melbourne|AU,Auckland|NZ', ',') $$;

create function pg_temp.nouns() returns text[] language sql immutable as $$ select
  string_to_array('account address adapter agreement afternoon answer apartment attachment auction balance basket battery bicycle bill '
    'blanket boat book bottle box branch bracket budget button cabinet cable calendar camera candle card carpet carrier case '
    'catalogue chair charger clock cloth coat collection colour comment contract corner counter courier cover customer cushion '
    'damage date deadline deal delivery deposit design desk detail device discount display document door drawer driver edge '
    'email engine envelope evening example exchange expense fabric factory fault feature fee field filter finish fitting '
    'frame freight garden gift glass goods guarantee guest guide hammer handle harbour height hinge holiday hook hour house '
    'image instruction insurance invoice issue item jacket keyboard kitchen label ladder lamp leather letter licence lid light '
    'limit line list loan lock machine manual market material measure message meter minute mirror model module month morning '
    'motor mug nail note notice number offer office opinion option order owner package page paint pallet panel paper parcel '
    'part partner password payment pen people phone photo picture pipe place plan plate pocket policy port postcode price '
    'printer problem product profile project promise pump quality question quote rack radio rail rate reason receipt record '
    'refund region remark repair reply report request return review ring road roof room rope route rule sale sample saw scale '
    'schedule screen screw seal season seat seller service shade shelf shipment shop shoulder size sleeve sofa sole spare '
    'speaker stand station statement step stock stone storage store strap street supplier support surface switch table tank '
    'tape tax team telephone tent term test ticket tile timber tin title tool top torch towel town track trade trailer tray '
    'truck tube type umbrella unit update upgrade user valve van version visit voucher wall wallet warehouse washer watch '
    'water week weight wheel window wire wood wool worker workshop wrapper year zip', ' ') $$;

create function pg_temp.adjectives() returns text[] language sql immutable as $$ select
  string_to_array('able annual available basic better big black blue brass bright broken brown busy careful central certain cheap clean '
    'clear closed cold common complete correct cotton current customs daily damaged dark deep different digital double dry early '
    'easy electric empty entire exact extra fair faulty final fine first flat foreign free fresh friendly full general good great '
    'green grey handmade hard heavy helpful high honest hot huge incorrect initial international just large last late least left '
    'light likely limited little local long loose low main matching missing modern monthly narrow natural near new next nice noisy '
    'normal old only open orange ordinary original other outdoor own partial past personal plain plastic polite poor portable '
    'possible present previous private proper public quick quiet rare ready real recent red regular reliable remote right round '
    'safe same second secure separate serious several sharp short silent silver similar simple slow small smart smooth soft solid '
    'spare special square steel strange strong sturdy sudden suitable sure tall thick thin third tight tiny total unused upper '
    'urgent used useful usual valid warm weak weekly wet white whole wide wooden wrong yellow young', ' ') $$;

create function pg_temp.verbs() returns text[] language sql immutable as $$ select
  string_to_array('accepts adds agrees answers appears arrives asks assembles believes belongs blocks books breaks brings builds buys calls '
    'cancels carries changes charges checks claims cleans closes collects compares confirms connects contains continues corrects '
    'costs counts covers cuts delays delivers describes drops earns ends enters exchanges expects explains fails feels fills '
    'finds fits fixes follows forgets gets gives grows happens hears helps holds hopes includes installs joins keeps knows lacks '
    'lasts leaves lends likes lists loads locks looks loses lowers makes matches means measures meets mentions misses mixes moves '
    'needs notices offers opens orders packs paints passes pays picks places prefers prepares prints promises protects provides '
    'pulls pushes reaches reads receives records recommends refunds refuses remembers removes rents repairs repeats replaces '
    'replies reports requests returns runs saves says seems selects sells sends serves sets shares ships shows signs sits smells '
    'solves sounds starts stays stops stores suggests supports takes tells tests thinks tracks tries turns unpacks updates uses '
    'visits waits wants warns wears weighs wins works worries wraps writes', ' ') $$;

create function pg_temp.adverbs() returns text[] language sql immutable as $$ select
  string_to_array('again almost already also always barely briefly carefully clearly completely directly early easily exactly finally firmly '
    'fully gladly hardly immediately instead kindly late lately luckily mainly maybe mostly nearly never normally now often once '
    'only partly perhaps personally politely probably promptly properly quickly quietly rarely really recently safely separately '
    'silently simply slowly smoothly sometimes soon still suddenly then twice usually well yesterday', ' ') $$;

create function pg_temp.articles() returns text[] language sql immutable as $$ select
  string_to_array('the|the|the|the|a|a|our|your|their|this|that|my|every|another|no|one', '|') $$;

create function pg_temp.links() returns text[] language sql immutable as $$ select
  string_to_array('for with from to in on at by under after before without near inside behind against about between during over', ' ') $$;

create function pg_temp.endings() returns text[] language sql immutable as $$ select
  string_to_array('.|.|.|.|.|!|?|; thanks.|, as agreed.|, please.', '|') $$;

-- step: dice
-- A number below `sides`, a token that looks random, one of several words; `salt` tells the uses apart.
create function pg_temp.roll(key bigint, salt integer, sides bigint) returns bigint
  language sql immutable as
  'select (hashint8extended(key, {{seed}} * 1000::bigint + salt) & 9223372036854775807) % sides';

create function pg_temp.token(key bigint, salt integer) returns text
  language sql immutable as
  'select md5(key::text || '':'' || salt::text || '':{{seed}}'')';

create function pg_temp.pick(choices text[], key bigint, salt integer) returns text
  language sql immutable as
  'select choices[1 + pg_temp.roll(key, salt, cardinality(choices))]';

-- step: sentences
-- Every sentence is made of words of its own, so that texts compress about as well as what people write.
create temp table sentences as
select
  number - 1 as id,
  upper(left(raw, 1)) || substr(raw, 2) as body
from
  generate_series(1, {{sentences}}) as number,
  lateral (
    select
      pg_temp.pick(pg_temp.articles(), number, 1)
      || case when pg_temp.roll(number, 2, 3) > 0 then ' ' || pg_temp.pick(pg_temp.adjectives(), number, 3) else '' end
      || ' ' || pg_temp.pick(pg_temp.nouns(), number, 4)
      || case when pg_temp.roll(number, 5, 2) = 0 then ' ' || pg_temp.pick(pg_temp.adverbs(), number, 6) else '' end
      || ' ' || pg_temp.pick(pg_temp.verbs(), number, 7)
      || ' ' || pg_temp.pick(pg_temp.articles(), number, 8)
      || ' ' || pg_temp.pick(pg_temp.nouns(), number, 9)
      || case
        when pg_temp.roll(number, 10, 4) > 0
          then ' ' || pg_temp.pick(pg_temp.links(), number, 11) || ' ' || pg_temp.pick(pg_temp.articles(), number, 12)
            || ' ' || pg_temp.pick(pg_temp.adjectives(), number, 13) || ' ' || pg_temp.pick(pg_temp.nouns(), number, 14)
        else ''
      end
      || case when pg_temp.roll(number, 15, 9) = 0 then ' ' || (10 + pg_temp.roll(number, 16, 990)) else '' end
      || pg_temp.pick(pg_temp.endings(), number, 17)
      as raw
    offset 0  -- or the planner would make every sentence twice, once for its first letter
  ) as made;

alter table sentences add primary key (id);
analyze sentences;
