"""Mail that a real server took over TLS after a login, read as a mail program reads it."""

import ssl
from email.message import EmailMessage
from urllib.parse import quote

import pytest

from shared.domain.channel import Channel, DeliveryState
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.notices.delivery import deliver
from tests.support.notice_examples import NOW, examples
from tests.support.smtp_server import PASSWORD, USER, MailBox, mail_server, plain_mail_server, silent_server

EXAMPLES = examples()
NOTICE = EXAMPLES["restore-test-failed"]

pytestmark = pytest.mark.usefixtures("trusted")


def channel(box: MailBox, *, password: str = PASSWORD, to: str = "ops@acme.example", more: str = "") -> Channel:
    return Channel(
        name="ops",
        url=f"mailtos://{USER}:{quote(password, safe='')}@localhost:{box.port}/?smtp=localhost&mode=starttls"
        f"&from=goldcopy@acme.example&to={to}{more}",
    )


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def test_mail_has_a_text_and_an_html_part_that_say_the_same(mailbox: MailBox) -> None:
    assert deliver(channel(mailbox), NOTICE).state is DeliveryState.DELIVERED
    [(recipients, message)] = mailbox.sent
    assert recipients == ["ops@acme.example"]
    assert message.get_content_type() == "multipart/alternative"
    assert [item.get_content_type() for item in message.iter_parts()] == ["text/plain", "text/html"]
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert NOTICE.title in text
        assert "Do not rely on backup" in text
        assert "goldcopy show 20261121T020000Z-app-7f3a" in text
        assert "postgis" in text
        assert "https://goldcopy.acme.example/source?source=app" in text


def test_headers_are_those_of_a_machine(mailbox: MailBox) -> None:
    deliver(channel(mailbox), NOTICE)
    [(_, message)] = mailbox.sent
    assert message["Subject"] == f"[Goldcopy] {NOTICE.title}"
    assert message["From"] == "Goldcopy <goldcopy@acme.example>"
    assert message["To"] == "ops@acme.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Importance"] == "high"
    assert message["X-Goldcopy-Event"] == "restore-test-failed"
    assert message["Date"]


def test_second_copy_of_a_notice_has_the_same_message_id_and_another_notice_has_not(mailbox: MailBox) -> None:
    for notice in (NOTICE, NOTICE, EXAMPLES["canary"]):
        deliver(channel(mailbox), notice)
    first, second, other = (message["Message-ID"] for _, message in mailbox.sent)
    assert first == second != other


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_every_notice_arrives(mailbox: MailBox, notice: Notice) -> None:
    assert deliver(channel(mailbox), notice).error == ""
    assert notice.title in part(mailbox.sent[0][1], "plain")


def test_words_of_others_act_on_nothing(mailbox: MailBox) -> None:
    hostile = Notice(
        key="k",
        event=NoticeEvent.BACKUP_FAILED,
        severity=NoticeSeverity.CRITICAL,
        source="app",
        at=NOW,
        title="table évil\r\nBcc: spy@evil.example\r\n\r\n<script>alert(1)</script> \u202egpj.exe \udcff 日本",
        facts=(("<img src=x onerror=alert(1)>", '"><a href="https://evil.example">click</a>'),),
        impact="postgres://app:hunter2@db/app password=hunter3",
        findings=("<b>&amp;</b>",),
        links=(
            ("bad", "javascript:alert(1)"),
            ("worse", 'https://x.example/"onclick="y'),
            ("ok", "https://x.example/?a=1&b=2"),
        ),
    )
    assert deliver(channel(mailbox), hostile).error == ""
    [(recipients, message)] = mailbox.sent
    assert recipients == ["ops@acme.example"]
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert "évil Bcc: spy@evil.example <script>" in message["Subject"]
    assert "\\u202e" in message["Subject"]
    html = part(message, "html")
    assert "<script" not in html
    assert "<img" not in html
    assert "<a href=" in html
    assert 'href="https://x.example/?a=1&amp;b=2"' in html
    assert "evil.example&quot;&gt;click" in html
    assert "javascript:" not in html
    for text in (html, part(message, "plain")):
        assert "hunter" not in text
        assert "\\udcff" in text
        assert "日本" in text


@pytest.mark.parametrize("title", ["Café—日 " * 12, "a — b — c — d é " * 8, "x" * 130 + " é"])
def test_subject_arrives_letter_by_letter(mailbox: MailBox, title: str) -> None:
    notice = Notice(
        key="k", event=NoticeEvent.ANOMALY, severity=NoticeSeverity.WARNING, source="", at=NOW, title=title.strip()
    )
    deliver(channel(mailbox), notice)
    assert mailbox.sent[0][1]["Subject"] == f"[Goldcopy] {title.strip()}"


def test_long_subject_is_cut_and_says_so(mailbox: MailBox) -> None:
    long = Notice(
        key="k", event=NoticeEvent.ANOMALY, severity=NoticeSeverity.WARNING, source="", at=NOW, title="long " * 200
    )
    deliver(channel(mailbox), long)
    subject = mailbox.sent[0][1]["Subject"]
    assert len(subject) <= 150
    assert subject.endswith("… (cut)")


def test_long_list_of_findings_is_cut_and_says_how_many_are_missing(mailbox: MailBox) -> None:
    many = Notice(
        key="k",
        event=NoticeEvent.ANOMALY,
        severity=NoticeSeverity.WARNING,
        source="",
        at=NOW,
        title="many",
        findings=tuple(f"finding {number}" for number in range(1201)),
    )
    deliver(channel(mailbox), many)
    for kind in ("plain", "html"):
        assert "and 1,001 more findings not shown here" in part(mailbox.sent[0][1], kind)


def test_several_recipients_get_one_mail(mailbox: MailBox) -> None:
    result = deliver(channel(mailbox, to="ops@acme.example,lead@acme.example", more="&cc=cto@acme.example"), NOTICE)
    assert result.error == ""
    [(recipients, message)] = mailbox.sent
    assert recipients == ["ops@acme.example", "lead@acme.example", "cto@acme.example"]
    assert message["To"] == "ops@acme.example, lead@acme.example"
    assert message["Cc"] == "cto@acme.example"


# aiosmtpd does not see that there is TLS already.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_tls_from_the_first_byte(server_context: ssl.SSLContext) -> None:
    with mail_server(server_context, implicit_tls=True) as box:
        url = channel(box).url.replace("mode=starttls", "mode=ssl")
        assert deliver(Channel(name="ops", url=url), NOTICE).error == ""
        assert len(box.sent) == 1


class TestFailures:
    """What is tried again and what is not, and what is said of it."""

    def test_wrong_password_is_final_and_is_not_repeated(self, mailbox: MailBox) -> None:
        result = deliver(channel(mailbox, password="hunter2-wrong"), NOTICE)
        assert result.state is DeliveryState.FAILED
        assert "refused the login (535)" in result.error
        assert "hunter2" not in result.error

    def test_password_that_cannot_be_sent_says_so(self, mailbox: MailBox) -> None:
        result = deliver(channel(mailbox, password="pässword"), NOTICE)
        assert result.state is DeliveryState.FAILED
        assert "other than ASCII" in result.error

    def test_login_that_fails_for_now_is_tried_again(self, mailbox: MailBox) -> None:
        mailbox.login_answer = "454 4.7.0 Temporary authentication failure"
        result = deliver(channel(mailbox), NOTICE)
        assert result.state is DeliveryState.RETRY
        assert "454" in result.error

    @pytest.mark.parametrize(
        ("answer", "state"),
        [("550 5.1.1 no such user", DeliveryState.FAILED), ("450 4.2.1 greylisted", DeliveryState.RETRY)],
    )
    def test_refused_recipient(self, mailbox: MailBox, answer: str, state: DeliveryState) -> None:
        mailbox.refused["ops@acme.example"] = answer
        result = deliver(channel(mailbox), NOTICE)
        assert result.state is state
        assert "ops@acme.example" in result.error
        assert answer.split(maxsplit=1)[1] in result.error

    def test_one_refused_recipient_of_two_is_named_although_the_other_got_it(self, mailbox: MailBox) -> None:
        mailbox.refused["gone@acme.example"] = "550 5.1.1 no such user"
        result = deliver(channel(mailbox, to="gone@acme.example,ops@acme.example"), NOTICE)
        assert result.state is DeliveryState.FAILED
        assert "gone@acme.example" in result.error
        assert "1 other got it" in result.error
        assert mailbox.sent[0][0] == ["ops@acme.example"]

    @pytest.mark.parametrize(
        ("answer", "state"),
        [("552 5.3.4 too big", DeliveryState.FAILED), ("451 4.3.0 try later", DeliveryState.RETRY)],
    )
    def test_refused_content(self, mailbox: MailBox, answer: str, state: DeliveryState) -> None:
        mailbox.answer = answer
        assert deliver(channel(mailbox), NOTICE).state is state

    def test_server_without_encryption_is_refused_and_gets_nothing(self) -> None:
        with plain_mail_server() as box:
            result = deliver(channel(box), NOTICE)
            assert result.state is DeliveryState.FAILED
            assert "offers no encryption" in result.error
            assert box.sent == []

    def test_nobody_listens(self, mailbox: MailBox) -> None:
        url = channel(mailbox).url.replace(f":{mailbox.port}", ":9")
        result = deliver(Channel(name="ops", url=url), NOTICE)
        assert result.state is DeliveryState.RETRY
        assert result.error == "localhost refuses connections"

    def test_unknown_host(self, mailbox: MailBox) -> None:
        url = channel(mailbox).url.replace("smtp=localhost", "smtp=mail.invalid")
        result = deliver(Channel(name="ops", url=url), NOTICE)
        assert result.state is DeliveryState.RETRY
        assert "cannot be resolved" in result.error

    def test_silent_server_is_left_within_the_timeout(self, mailbox: MailBox) -> None:
        with silent_server() as port:
            url = channel(mailbox).url.replace(f":{mailbox.port}", f":{port}")
            result = deliver(Channel(name="ops", url=url), NOTICE, timeout_seconds=0.5)
        assert result.state is DeliveryState.RETRY
        assert "did not answer in time" in result.error


def test_certificate_that_nobody_vouches_for_is_refused(mailbox: MailBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    result = deliver(channel(mailbox), NOTICE)
    assert result.state is DeliveryState.FAILED
    assert "certificate of localhost cannot be trusted" in result.error
    assert mailbox.sent == []
