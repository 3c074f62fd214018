"""What pg_restore prints is judged by rules, and no row data gets through."""

import pytest

from shared.postgres.restore_messages import RULES, MessageReader, RestoreMessage, Verdict, hint_for, judge_message

VIEW_DATA = "MATERIALIZED VIEW DATA totals app"
TRANSCRIPT = """\
pg_restore: connecting to database for restore
pg_restore: while INITIALIZING:
pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"
Command was: SET transaction_timeout = 0;
pg_restore: processing item 2 EXTENSION hstore
pg_restore: creating EXTENSION "hstore"
pg_restore: entering main parallel loop
pg_restore: launching item 2661 TABLE DATA t
pg_restore: launching item 2662 TABLE DATA chk
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 2662; 0 16392 TABLE DATA chk postgres
pg_restore: error: COPY failed for table "chk": ERROR:  invalid input syntax for type integer: "secret"
DETAIL:  Key (email)=(alice@example.org) already exists.
CONTEXT:  COPY chk, line 7, column id: "secret"
pg_restore: finished item 2662 TABLE DATA chk
pg_restore: finished item 2661 TABLE DATA t
pg_restore: warning: errors ignored on restore: 2
"""


def read(transcript: str, exit_code: int = 1) -> tuple[RestoreMessage, ...]:
    reader = MessageReader()
    for line in transcript.splitlines():
        reader.feed(line)
    return reader.messages(exit_code)


def test_messages_are_judged_and_name_their_object() -> None:
    timeout, copy, summary = read(TRANSCRIPT)
    assert timeout.verdict is Verdict.EXPECTED
    assert (copy.verdict, copy.object) == (Verdict.UNKNOWN, "TABLE DATA chk")
    assert "COPY chk, line 7, column id" in copy.text
    assert summary.verdict is Verdict.EXPECTED


def test_row_data_reaches_no_message() -> None:
    text = repr(read(TRANSCRIPT))
    assert "secret" not in text
    assert "alice" not in text


def test_items_tell_progress_by_dump_id() -> None:
    reader = MessageReader()
    items = [item for line in TRANSCRIPT.splitlines() if (item := reader.feed(line))]
    assert [(item.dump_id, item.state) for item in items] == [
        (2, "processing"),
        (2661, "launching"),
        (2662, "launching"),
        (2662, "finished"),
        (2661, "finished"),
    ]


def test_a_bad_exit_without_a_message_is_not_believed() -> None:
    (message,) = read("pg_restore: connecting to database for restore\n", exit_code=-9)
    assert message.verdict is Verdict.UNKNOWN
    assert "signal 9" in message.text


def test_a_bad_exit_explained_by_expected_errors_is_fine() -> None:
    transcript = "\n".join(TRANSCRIPT.splitlines()[:4]) + "\npg_restore: warning: errors ignored on restore: 1\n"
    assert {message.verdict for message in read(transcript)} == {Verdict.EXPECTED}


def test_errors_that_were_ignored_but_never_seen_fail() -> None:
    messages = read("pg_restore: warning: errors ignored on restore: 3\n")
    assert [message.verdict for message in messages] == [Verdict.EXPECTED, Verdict.UNKNOWN]


def test_exit_zero_with_an_unknown_warning_still_fails() -> None:
    (message,) = read("pg_restore: warning: something nobody has seen before\n", exit_code=0)
    assert message.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('could not execute query: ERROR:  schema "public" already exists', Verdict.EXPECTED),
        ('could not execute query: ERROR:  extension "vector" is not available', Verdict.NOT_MEASURED),
        ('could not execute query: ERROR:  could not open extension control file "/x"', Verdict.NOT_MEASURED),
        ("COPY failed for table: ERROR:  could not extend file: No space left on device", Verdict.FATAL),
        ("could not execute query: server closed the connection unexpectedly", Verdict.FATAL),
        ("unsupported version (1.16) in file header", Verdict.FATAL),
        ('could not execute query: ERROR:  type "vector" does not exist', Verdict.UNKNOWN),
        ('COPY failed for table "x": ERROR:  duplicate key value violates unique constraint "x_key"', Verdict.UNKNOWN),
    ],
)
def test_rules(text: str, verdict: Verdict) -> None:
    assert judge_message(text, "").verdict is verdict


def test_every_rule_has_a_reason() -> None:
    assert all(rule.reason and rule.verdict is not Verdict.UNKNOWN for rule in RULES)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("could not execute query: ERROR:  permission denied for database app", "Grant it there"),
        ("could not execute query: ERROR:  permission denied for schema public", "Grant it there"),
        ('could not execute query: ERROR:  relation "orders" already exists', "new, empty database"),
    ],
)
def test_what_the_destination_refuses_is_mended_there(text: str, advice: str) -> None:
    message = judge_message(text, "TABLE orders")
    assert advice in hint_for(message, is_scratch=False)
    assert "source" not in hint_for(message, is_scratch=False)
    assert "mend it at the source" in hint_for(message, is_scratch=True)  # Goldcopy's own server: empty, all rights


def test_a_view_that_its_owner_may_not_fill_is_mended_at_the_source() -> None:
    message = judge_message("could not execute query: ERROR:  permission denied for schema shop", VIEW_DATA)
    assert "mend it at the source" in hint_for(message, is_scratch=False)
