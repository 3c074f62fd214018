"""goldcopy notify-test and the part of goldcopy check that is about channels."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from shared.cli.main import cli
from shared.config.load import load_config
from shared.domain.channel import Channel
from shared.domain.notice import NoticeEvent, NoticeSeverity
from shared.domain.proof import Finding, Severity
from shared.errors import ConfigInvalid
from shared.operations.setup import write_configuration
from shared.wiring.channels import check_channels, open_channels
from tests.support import discord_rules, slack_rules
from tests.support.smtp_server import PASSWORD, USER, MailBox
from tests.support.web_services import Planned, WebServices

CHANNELS = """
[channels.mail]
url = "env:MAIL_URL"
severity = "critical"

[channels.slack]
url = "env:SLACK_URL"
events = ["backup-failed"]

[channels.discord]
url = "env:DISCORD_URL"
quiet_hours = false

[channels.off]
url = "env:NOWHERE_SET"
enabled = false
"""


@pytest.fixture
def config(tmp_path: Path, mailbox: MailBox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with three channels in use."""
    path = tmp_path / "goldcopy.toml"
    write_configuration(path)
    with path.open("a", encoding="utf-8") as file:
        file.write(CHANNELS)
    password = quote(PASSWORD, safe="")
    monkeypatch.setenv(
        "MAIL_URL",
        f"mailtos://{USER}:{password}@localhost:{mailbox.port}/?smtp=localhost&mode=starttls"
        "&from=goldcopy@acme.example&to=ops@acme.example",
    )
    monkeypatch.setenv("SLACK_URL", f"https://hooks.slack.com{slack_rules.WEBHOOK_PATH}")
    monkeypatch.setenv("DISCORD_URL", f"discord://{discord_rules.WEBHOOK_ID}/{discord_rules.WEBHOOK_TOKEN}")
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], standalone_mode=False)


def attempts(config: Path) -> list[tuple[Any, ...]]:
    engine = create_engine(load_config(str(config)).catalog_url)
    with engine.connect() as connection:
        found = connection.execute(text("select channel, outcome, error from delivery_attempt order by id"))
        rows = [tuple(row) for row in found]
    engine.dispose()
    return rows


@pytest.mark.usefixtures("trusted")
class TestNotifyTest:
    """One test notice by hand."""

    def test_every_channel_in_use_gets_it_whatever_it_wants_to_hear(
        self, config: Path, mailbox: MailBox, services: WebServices
    ) -> None:
        result = run(config, "notify-test")
        assert result.return_value == 0
        assert [line.split()[:3] for line in result.output.splitlines()[:3]] == [
            ["✓", "mail:", "delivered"],
            ["✓", "slack:", "delivered"],
            ["✓", "discord:", "delivered"],
        ]
        assert mailbox.sent[0][1]["Subject"] == "[Goldcopy] Test from Goldcopy: notices reach you here"
        assert {request.host for request in services.taken} == {"hooks.slack.com", "discord.com"}
        assert attempts(config) == [(name, "delivered", "") for name in ("mail", "slack", "discord")]

    def test_one_that_fails_ends_with_one_and_the_others_are_tried(
        self, config: Path, mailbox: MailBox, services: WebServices
    ) -> None:
        mailbox.refused["ops@acme.example"] = "550 5.1.1 no such user"
        result = run(config, "notify-test", "--json")
        assert result.return_value == 1
        document = json.loads(result.output)
        assert document["ok"] is False
        assert document["recorded"] is True
        assert [(item["channel"], item["outcome"]) for item in document["channels"]] == [
            ("mail", "failed"),
            ("slack", "delivered"),
            ("discord", "delivered"),
        ]
        assert "no such user" in document["channels"][0]["error"]
        assert "no such user" in attempts(config)[0][2]

    def test_one_channel_alone(self, config: Path, mailbox: MailBox, services: WebServices) -> None:
        services.planned = [Planned(429, "", {"Retry-After": "30"})]
        result = run(config, "notify-test", "slack")
        assert result.return_value == 1
        assert "! slack: not now" in result.output
        assert "asks for a pause, for 30 s" in result.output
        assert mailbox.sent == []

    def test_a_channel_that_is_switched_off_can_be_tried_by_name(self, config: Path) -> None:
        result = run(config, "notify-test", "off")
        assert result.return_value == 1
        assert "NOWHERE_SET is not set" in result.output

    def test_unknown_channel_is_named_with_those_that_exist(self, config: Path) -> None:
        result = run(config, "notify-test", "slak")
        assert "there is no channel 'slak'" in str(result.exception)
        assert "discord, mail, off, slack" in str(result.exception)

    def test_a_metadata_store_that_is_down_keeps_nobody_from_trying(
        self, config: Path, services: WebServices, mailbox: MailBox
    ) -> None:
        broken = config.read_text("utf-8") + '\n[catalog]\nurl = "postgresql+psycopg://nobody@127.0.0.1:9/none"\n'
        config.write_text(broken.replace('[catalog]\nurl = "sqlite', '# url = "sqlite', 1), encoding="utf-8")
        result = run(config, "notify-test", "slack", "--json")
        assert json.loads(result.output)["recorded"] is False
        assert len(services.taken) == 1


def findings(config: Path) -> tuple[list[str], list[str], list[Finding]]:
    """Return what passed, the errors, and the warnings."""
    passed: list[str] = []
    errors: list[str] = []

    def ask(_check: str, _subject: str, question: Any) -> bool:
        try:
            passed.append(question())
        except ConfigInvalid as error:
            errors.append(error.message)
            return False
        return True

    warnings = list(check_channels(load_config(str(config)), ask))
    return passed, errors, warnings


class TestCheck:
    """What is said of channels before anything is sent."""

    def test_good_channels_are_named_without_a_secret(self, config: Path) -> None:
        passed, errors, warnings = findings(config)
        assert errors == []
        assert warnings == []
        assert passed[1:] == ["channel slack: Slack", "channel discord: Discord"]
        assert passed[0].startswith("channel mail: E-Mail by localhost:")
        assert PASSWORD not in passed[0]

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("slack://bad/hunter2-token", "slack://*** is not a valid Slack URL"),
            ("discord://hunter2", "discord://*** is not a valid Discord URL"),
            ("mailtos://me:hunter2@", "mailtos://*** is not a valid E-Mail URL"),
            ("nonsense://hunter2", "Apprise knows no service nonsense://"),
            ("hunter2", "it is not an Apprise URL"),
            ("https://example.com/hunter2", "write jsons://"),
            ("mailto://me:hunter2@mail.example/?to=a@b.example", "write mailtos://"),
            (
                "mailto://localhost:25/?smtp=mail.example&from=a@b.example&to=hunter2@b.example",
                "sends mail in the clear",
            ),
            ("mailto://me:hunter2@localhost/?smtp=localhost&to=a@b.example", "write mailtos://"),
            ("mailtos://me:hunter2@mail.example/?mode=insecure&to=a@b.example", "write mailtos://"),
            ("tgram://hunter2", "tgram://*** is not a valid Telegram URL"),
        ],
    )
    def test_bad_url_is_named_by_its_key_and_hidden(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
    ) -> None:
        monkeypatch.setenv("SLACK_URL", url)
        _, errors, _ = findings(config)
        assert len(errors) == 1
        assert errors[0].startswith("channels.slack.url: ")
        assert words in errors[0]
        assert "hunter2" not in errors[0]

    def test_unset_reference_is_named(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SLACK_URL")
        _, errors, _ = findings(config)
        assert errors == ["channels.slack.url: the environment variable SLACK_URL is not set"]

    def test_unwise_urls_are_warned_of(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAIL_URL", "json://me:hunter2@hook.example/")
        monkeypatch.setenv("DISCORD_URL", "jsons://x.example/?verify=no")
        _, errors, warnings = findings(config)
        assert errors == []
        assert [finding.message for finding in warnings] == [
            "channels.mail.url: the password is sent without encryption",
            "channels.discord.url: verify=no: anybody on the way can read and change what is sent",
        ]

    @pytest.mark.parametrize(
        "url",
        [
            "mailto://localhost:25/?smtp=localhost&from=a@b.example&to=c@b.example",
            "mailto://127.0.0.1:25/?smtp=127.0.0.1&from=a@b.example&to=c@b.example",
            "mailto://me:hunter2@mail.example/?mode=starttls&to=a@b.example",
        ],
    )
    def test_relay_of_this_machine_needs_no_encryption_and_a_mode_is_kept(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        monkeypatch.setenv("MAIL_URL", url)
        _, errors, _ = findings(config)
        assert errors == []

    def test_no_channel_at_all_is_warned_of(self, tmp_path: Path) -> None:
        path = tmp_path / "goldcopy.toml"
        write_configuration(path)
        _, _, [warning] = findings(path)
        assert warning.message == "no [channels.NAME] is configured: nobody hears of a failed backup"


class TestConfiguration:
    """What may stand in `[channels.NAME]`."""

    def test_channels_are_read_with_their_filters(self, config: Path) -> None:
        channels = open_channels(load_config(str(config)))
        assert list(channels) == ["mail", "slack", "discord"]
        assert channels["mail"].severity is NoticeSeverity.CRITICAL
        assert channels["slack"].events == {NoticeEvent.BACKUP_FAILED}
        assert channels["discord"].quiet_hours is False
        assert isinstance(channels["mail"], Channel)

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            (
                '[channels.x]\nurl = "env:X"\nevents = ["backup-exploded"]',
                "channels.x.events[1]: 'backup-exploded' is not known, it must be",
            ),
            ('[channels.x]\nurl = "env:X"\nseverity = "loud"', "channels.x.severity: 'loud' is not known, it must be"),
            ('[channels.x]\nurl = "env:X"\nchannel = "y"', "channels.x.channel: this key is not known"),
            ("[channels.x]\nenabled = true", "channels.x.url: this key is missing"),
            ('[channels."A B"]\nurl = "env:X"', "a name is made of"),
            ('[escalation]\nprimary = ["nobody"]', "escalation.primary: 'nobody' is no channel; there is none yet"),
        ],
    )
    def test_mistakes_are_named_with_their_key(self, tmp_path: Path, lines: str, words: str) -> None:
        path = tmp_path / "goldcopy.toml"
        write_configuration(path)
        path.write_text(f"{path.read_text('utf-8')}\n{lines}\n", encoding="utf-8")
        with pytest.raises(ConfigInvalid) as caught:
            load_config(str(path))
        assert words in caught.value.message


def test_check_is_not_content_with_channels_that_hear_of_nothing_red(tmp_path: Path) -> None:
    path = tmp_path / "goldcopy.toml"
    write_configuration(path)
    path.write_text(path.read_text() + '[channels.mail]\nurl = "env:X"\nevents = ["digest"]\n')
    found = list(check_channels(load_config(str(path), {"X": "json://host"}), lambda *_args: True))
    assert [item.severity for item in found] == [Severity.ERROR, Severity.WARNING, Severity.WARNING]
    assert "nobody would hear of a source that turns red" in found[0].message
