"""What is wrong with a configuration is said in the file's own words, all of it at once, and never with a secret."""

from pathlib import Path

import pytest

from shared.config.load import Config, load_config
from shared.config.plain_secrets import find_plain_secrets
from shared.errors import ConfigInvalid

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
GOOD = f'[repository]\nrecipients = ["{RECIPIENT}"]\n'
PYDANTIC = ("input", "Input", "valid", "permitted", "Field", "extra_forbidden", "pydantic")


def load(folder: Path, text: str) -> Config:
    path = folder / "goldcopy.toml"
    path.write_text(text)
    return load_config(str(path), {})


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, text)
    assert str(folder / "goldcopy.toml") in caught.value.message
    assert not [word for word in PYDANTIC if word in caught.value.message]
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[repository]\nrecipient = ["x"]\n', "repository.recipient: this key is not known; did you mean recipients?"),
        ("[repository]\n", "repository.recipients: this key is missing; write recipients = ["),
        ("[repository]\nrecipients = []\n", "repository.recipients: this key is empty; write recipients = ["),
        ("", "repository: this key is missing; write [repository] with recipients"),
        (GOOD + "[sources.app]\n", 'sources.app.url: this key is missing; write url = "env:APP_DATABASE_URL"'),
        (GOOD + "[sources.app]\nurl = 5\n", 'sources.app.url: must be text between quotes, such as url = "..."'),
        (
            GOOD + '[sources.app]\nurl = "env:A"\nkind = "mysql"\n',
            "sources.app.kind: 'mysql' is not known, it must be 'postgres' or 'supabase'",
        ),
        (GOOD + '[sources.app]\nurl = "env:A"\njobs = "two"\n', "sources.app.jobs: must be a whole number"),
        (GOOD + '[sources.app]\nurl = "env:A"\njobs = 0\n', "sources.app.jobs: must be at least 1"),
        (GOOD + '[sources.app]\nurl = "env:A"\nallow_empty = "maybe"\n', "allow_empty: must be true or false"),
        (GOOD + '[sources.app]\nurl = "env:A"\nchecks = ["x"]\n', "sources.app.checks: must be text between quotes"),
        (GOOD + '[sources.app]\nurl = "env:A"\nexclude = "x"\n', "sources.app.exclude: must be a list"),
        (
            GOOD + '[[sources.app.exclude]]\ntable = "public.a"\nreasn = "old"\n',
            "sources.app.exclude[1].reasn: this key is not known; did you mean reason?",
        ),
        (
            GOOD + '[sources.app]\nurl = "env:A"\nobjectives = { rpo = "soon" }\n',
            "sources.app.objectives.rpo: 'soon' is not a duration; write for example 30m, 24h or 7d",
        ),
        *(
            (GOOD + f'[sources.app]\nurl = "env:A"\nobjectives = {{ rpo = "{given}" }}\n', f"'{given}' is too long")
            for given in ("36501d", "999999999d", "9999999999999999d")
        ),
        (GOOD + "[health]\nred_factor = 1e300\n", "health.red_factor: must be at most 1000"),
        (
            GOOD + '[sources.system]\nurl = "env:A"\n',
            "sources.system: `goldcopy ack system` means Goldcopy itself; give the source another name",
        ),
        (
            GOOD + '[sources.app]\nurl = "env:A"\nretentoin = 1\n',
            "sources.app.retentoin: this key is not known; did you mean retention?",
        ),
        (f"sources = 5\n{GOOD}", "sources: must be a table, such as [sources]"),
        (GOOD + 'scratch = "here"\n', "known here: url, recipients"),
        ('scratch = "here"\n' + GOOD, "scratch: must be a table, such as [scratch]"),
        (GOOD + "[repository.url]\n", "repository.url: must be text between quotes"),
        (GOOD + '[sources.app]\nurl = "mysql://h/shop"\n', 'sources.app.url: write "env:NAME" or "file:PATH" that'),
        (GOOD.replace('"]', '", "age1qqqq"]'), "repository.recipients[2]: this public key is mistyped or cut"),
        (
            GOOD.replace("age1", "age2"),
            'repository.recipients[1]: this is not a public key; write one that begins "age1"',
        ),
        (GOOD.replace("ac8p", "ac8q"), "repository.recipients[1]: this public key is mistyped or cut"),
        (GOOD + 'url = "ftp://h"\n', 'repository.url: write "file://FOLDER" or "s3://BUCKET/PREFIX"'),
        (GOOD + "[channels.no-url]\n", 'channels.no-url.url: this key is missing; write url = "env:NO_URL_URL"'),
        (
            GOOD + '[channels.a]\nurl = "env:A"\nevents = ["backup-faild"]\n',
            "channels.a.events[1]: 'backup-faild' is not known, it must be",
        ),
        (
            GOOD + '[sources.app]\nurl = "env:A"\n[[watch.maintenance]]\nreason = "move"\nsources = ["app", "apq"]\n',
            "watch.maintenance[1].sources: 'apq' is no source; did you mean app?",
        ),
        (
            GOOD + '[[watch.maintenance]]\nreason = "move"\nsources = ["app"]\n',
            "watch.maintenance[1].sources: 'app' is no source; there is none yet",
        ),
        (
            GOOD + '[channels.a]\nurl = "env:A"\n[escalation]\nprimary = ["a", "nobody"]\n',
            "escalation.primary: 'nobody' is no channel; known are a",
        ),
        (GOOD + '[watch]\ntimezone = "Nowhere"\n', "watch.timezone: 'Nowhere' is not a time zone; write"),
        (GOOD + '[catalog]\nurl = "mysql://h"\n', 'catalog.url: write "sqlite:///PATH", "postgresql+psycopg://'),
    ],
)
def test_a_problem_names_its_key_and_what_to_write_instead(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in problems(tmp_path, text)


def test_all_problems_are_in_one_list(tmp_path: Path) -> None:
    message = problems(
        tmp_path,
        '[catalog]\nurl = "nowhere"\n[repository]\nurl = "somewhere"\nrecipients = ["age1x"]\nunknown = 1\n'
        '[sources.BAD]\nurl = 1\n[sources.app]\nurl = "env:A"\nkind = "oracle"\n',
    )
    assert message.startswith(f"{tmp_path / 'goldcopy.toml'} has 7 problems:")
    keys = ("catalog.url", "repository.url", "repository.recipients[1]", "repository.unknown", "sources.BAD:",
            "sources.BAD.url", "sources.app.kind")  # fmt: skip
    assert [key for key in keys if f"- {key}" not in message] == []


def test_names_orders_and_times_are_in_the_same_list_as_all_the_others(tmp_path: Path) -> None:
    message = problems(
        tmp_path,
        GOOD + '[sources.app]\nurl = 1\n[channels.a]\n[escalation]\nprimary = ["b"]\nafter = ["1h"]\n'
        '[watch]\ntimezone = "Nowhere"\nquiet_hours = "night"\ndigest = "daily"\n'
        '[[watch.maintenance]]\nreason = ""\nsources = ["apq"]\n'
        "from = 2026-12-02T00:00:00Z\nto = 2026-12-01T00:00:00Z\n",
    )
    keys = ("sources.app.url", "channels.a.url", "escalation.primary", "escalation.after", "watch.timezone",
            "watch.quiet_hours", "watch.digest", "watch.maintenance[1].reason", "watch.maintenance[1].sources",
            "watch.maintenance[1].to")  # fmt: skip
    assert [key for key in keys if f"- {key}:" not in message] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD + 'a = [\n"b",\n\nc = 1\n', "is not valid TOML: Invalid value (at line 6, column 1)"),
        (GOOD + '\n# list\na = [\n"b",\n', "what begins in line 5 has no end"),
        (GOOD + 'a = """\nb\n\n', "what begins in line 3 has no end"),
        (GOOD + 'a = "b\nc = 1\n', "at line 3, column 7"),
    ],
)
def test_text_that_is_no_toml_is_named_by_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, text)
    assert sentence in caught.value.message


def test_text_that_is_not_utf_8_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "goldcopy.toml"
    path.write_bytes(GOOD.encode() + b"# f\xfcr\n")
    with pytest.raises(ConfigInvalid, match="line 3 is not UTF-8"):
        load_config(str(path), {})


@pytest.mark.parametrize(
    "text",
    [
        GOOD + '[sources.app]\nurl = "mysql://app:tr0ub4dor@h/shop"\n',
        GOOD + 'url = "ftp://app:tr0ub4dor@h"\n',
        GOOD + '[catalog]\nurl = "mysql://app:tr0ub4dor@h"\n',
        '[repository]\nrecipients = ["AGE-SECRET-KEY-1tr0ub4dor"]\n',
    ],
)
def test_no_problem_quotes_a_secret(tmp_path: Path, text: str) -> None:
    assert "tr0ub4dor" not in problems(tmp_path, text)


def test_references_are_not_looked_into(tmp_path: Path) -> None:
    load(tmp_path, f'[catalog]\nurl = "env:CATALOG"\n{GOOD}url = "file:where.txt"\n[sources.app]\nurl = "prefect:x"\n')


@pytest.mark.parametrize(
    "recipient",
    [
        RECIPIENT,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0S1aR2Ovv0SVhSOvSzzZGJkTrD1XCs3AfBBzGtCGmn ada@example",
    ],
)
def test_public_keys_that_seal_are_accepted(tmp_path: Path, recipient: str) -> None:
    assert load(tmp_path, f'[repository]\nrecipients = ["{recipient}"]\n').file.repository.recipients == [recipient]


def test_secrets_that_stand_in_the_file_are_named(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        '[catalog]\nurl = "postgresql+psycopg://app:tr0ub4dor@h/catalog"\n'
        f'{GOOD}secret_access_key = "abc"\naccess_key_id = "AKIA"\nidentity = "AGE-SECRET-KEY-1ABC"\n'
        '[scratch]\nurl = "host=h password=tr0ub4dor"\n'
        '[sources.app]\nurl = "postgresql://app:tr0ub4dor@h/shop"\n[sources.b]\nurl = "postgresql://app@h:5432/shop"\n'
        '[sources.c]\nurl = "env:C_URL"\n',
    )
    assert sorted(find_plain_secrets(config.file)) == [
        "catalog.url", "repository.identity", "repository.secret_access_key", "scratch.url", "sources.app.url",
    ]  # fmt: skip
