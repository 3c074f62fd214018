"""Apprise's mail service with a text part of its own, a stable Message-ID and an answer that says why."""

import hashlib
import smtplib
import ssl
from collections.abc import Iterable
from email.charset import QP, Charset
from email.errors import MessageError
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime, formataddr
from typing import Any, cast

from apprise.plugins.email.base import PGP_MODE_DEFAULT, NotifyEmail
from apprise.plugins.email.common import SecureMailMode

from shared.clock import utc_now
from shared.domain.notice import Notice, NoticeSeverity
from shared.notices.failures import delivered, failed, of_exception, of_refused_recipients
from shared.notices.html import html_mail
from shared.notices.plain import plain_text
from shared.notices.services import Outspoken
from shared.notices.wording import shorten, tidy

SUBJECT_CHARACTERS = 150

_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


class MailService(Outspoken, NotifyEmail):
    """`mailtos://` (STARTTLS or TLS from the start): one mail to all its recipients."""

    def send(self, *args: Any, **kwargs: Any) -> bool:
        """Send in place of Apprise, except where the URL asks for PGP, which Apprise alone can do."""
        if self.pgp_mode != PGP_MODE_DEFAULT:
            kwargs["body"], kwargs["title"] = html_mail(self.notice), subject_of(self.notice)
            return bool(NotifyEmail.send(self, *args, **kwargs))
        recipients = list(dict.fromkeys([*(address for _, address in self.targets), *sorted({*self.cc, *self.bcc})]))
        try:
            with self._connect() as connection:
                refused = connection.send_message(self._message(), str(self.from_addr[1]), recipients)
        except (OSError, smtplib.SMTPException) as error:
            return self.note(of_exception(self.smtp_host, error))
        except UnicodeEncodeError:
            return self.note(
                failed("the login holds characters other than ASCII, which cannot be sent to a mail server")
            )
        except (MessageError, ValueError):
            return self.note(failed("an address or a header in the URL cannot be put into a mail"))
        if refused:
            taken = len(recipients) - len(refused)
            return self.note(of_refused_recipients(self.smtp_host, refused, taken))
        return self.note(delivered())

    def _connect(self) -> smtplib.SMTP:
        """Connect, encrypt and log in; what the URL asks for and the server lacks is an error, never left out."""
        context = ssl.create_default_context()
        if not self.verify_certificate:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        timeout, port = self.socket_connect_timeout, int(self.port or 0)
        if self.secure_mode == SecureMailMode.SSL:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(self.smtp_host, port, timeout=timeout, context=context)
        else:
            connection = smtplib.SMTP(self.smtp_host, port, timeout=timeout)
        try:
            if self.secure_mode == SecureMailMode.STARTTLS:
                connection.starttls(context=context)
            if self.user and self.password:
                connection.login(self.user, self.password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _message(self) -> MIMEMultipart:
        """Build the mail; the same notice to the same people has the same Message-ID, so a copy is seen as one.

        Not an EmailMessage: where a subject is not ASCII it loses and adds spaces while it folds the line.
        """
        name, address = str(self.from_addr[0] or "Goldcopy"), str(self.from_addr[1])
        listed = self._listed(to for _, to in self.targets)
        headers = {
            "Subject": subject_of(self.notice),
            "From": formataddr((name, address)),
            "To": listed,
            "Cc": self._listed(sorted(self.cc)),
            "Reply-To": self._listed(sorted(self.reply_to)),
            "Date": format_datetime(utc_now()),
            "Message-ID": message_id(self.notice, address, listed),
            "Auto-Submitted": "auto-generated",
            "X-Goldcopy-Event": self.notice.event.value,
            "Importance": "high" if self.notice.severity is NoticeSeverity.CRITICAL else "",
            **self.headers,
        }
        message = MIMEMultipart("alternative")
        for header, value in headers.items():
            if value:
                message[header] = value if value.isascii() else cast(str, Header(value, "utf-8", header_name=header))
        text = f"{tidy(self.notice).title}\n\n{plain_text(self.notice)}\n"
        for kind, content in (("plain", text), ("html", html_mail(self.notice))):
            part = MIMENonMultipart("text", kind)
            part.set_payload(content, _QUOTED_PRINTABLE)
            message.attach(part)
        return message

    def _listed(self, addresses: Iterable[str]) -> str:
        names = {**self.names, **{address: name for name, address in self.targets}}
        return ", ".join(formataddr((str(names.get(address) or ""), address)) for address in addresses)


def subject_of(notice: Notice) -> str:
    """Return the subject line."""
    return shorten(f"[Goldcopy] {tidy(notice).title}", SUBJECT_CHARACTERS)


def message_id(notice: Notice, sender: str, recipients: str) -> str:
    """Name a mail by what it says and who gets it."""
    digest = hashlib.sha256(f"{notice.key}\n{recipients}".encode("utf-8", "replace")).hexdigest()
    return f"<{digest[:32]}.goldcopy@{sender.rpartition('@')[2]}>"
