"""Apprise's mail service with a text part of its own, a stable Message-ID and an answer that says why."""

import hashlib
import smtplib
import ssl
from collections.abc import Iterable
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Any

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


class MailService(Outspoken, NotifyEmail):
    """`mailtos://` (STARTTLS or TLS from the start) and `mailto://`: one mail to all its recipients."""

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

    def _message(self) -> EmailMessage:
        """Build the mail; the same notice to the same people has the same Message-ID, so a copy is seen as one."""
        message = EmailMessage(policy=SMTP)
        name, address = str(self.from_addr[0] or ""), str(self.from_addr[1])
        listed = self._listed(to for _, to in self.targets)
        message["Subject"] = subject_of(self.notice)
        message["From"] = formataddr((name, address))
        message["To"] = listed
        if self.cc:
            message["Cc"] = self._listed(sorted(self.cc))
        if self.reply_to:
            message["Reply-To"] = self._listed(sorted(self.reply_to))
        message["Date"] = format_datetime(utc_now())
        message["Message-ID"] = message_id(self.notice, address, listed)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Goldcopy-Event"] = self.notice.event.value
        if self.notice.severity is NoticeSeverity.CRITICAL:
            message["Importance"] = "high"
        for header, value in self.headers.items():
            del message[header]
            message[header] = value
        message.set_content(f"{tidy(self.notice).title}\n\n{plain_text(self.notice)}\n", cte="quoted-printable")
        message.add_alternative(html_mail(self.notice), subtype="html", cte="quoted-printable")
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
