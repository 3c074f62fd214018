"""Postgres' names of encodings, and what Python calls them."""

import re
from collections.abc import Iterable

_CODECS = {
    "EUC_CN": "gb2312",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "ISO_8859_5": "iso8859_5",
    "ISO_8859_6": "iso8859_6",
    "ISO_8859_7": "iso8859_7",
    "ISO_8859_8": "iso8859_8",
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
    "LATIN1": "iso8859_1",
    "LATIN2": "iso8859_2",
    "LATIN3": "iso8859_3",
    "LATIN4": "iso8859_4",
    "LATIN5": "iso8859_9",
    "LATIN6": "iso8859_10",
    "LATIN7": "iso8859_13",
    "LATIN8": "iso8859_14",
    "LATIN9": "iso8859_15",
    "LATIN10": "iso8859_16",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
}
"""Server encodings; UTF8 and SQL_ASCII need no other codec, EUC_TW and MULE_INTERNAL have none."""

_SET_ENCODING = re.compile(r"SET client_encoding = '(\w+)'")


def codec_of_dump(statements: Iterable[str]) -> str | None:
    """Find the codec of a dump's names in its `SET client_encoding` statement; None where UTF-8 is as good as any."""
    encoding = next((match[1] for text in statements if (match := _SET_ENCODING.search(text))), "UTF8")
    return _CODECS.get(encoding)


def decode_again(text: str, codec: str) -> str:
    """Decode what was taken for UTF-8, with its odd bytes escaped, by the codec that it is in."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode(codec, "replace")
