"""Sealing: what goes in comes out, for the right identity, or nothing is taken for good."""

import os
from itertools import islice

import pyrage  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.errors import ConfigInvalid, DecryptionFailed
from shared.repository.sealing import (
    Sealer,
    check_recipients,
    load_identities,
    make_identity,
    seal,
    unseal,
    unseal_whole,
)

SECRET, PUBLIC = make_identity()
OTHER_SECRET, OTHER_PUBLIC = make_identity()


def test_what_was_sealed_opens() -> None:
    for plain in (b"", b"x", b"row\n" * 1_000_000, os.urandom(3 << 20)):
        sealed = seal(plain, [PUBLIC])
        assert (sealed.plain_bytes, sealed.stored_bytes) == (len(plain), len(sealed.data))
        assert unseal_whole(sealed.data, load_identities(SECRET)) == plain


def test_the_sealed_form_is_an_age_file_of_a_zstd_frame_with_a_checksum() -> None:
    data = seal(b"hello", [PUBLIC]).data
    assert data.startswith(b"age-encryption.org/v1\n")
    frame = pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(SECRET)])
    assert frame.startswith(b"\x28\xb5\x2f\xfd")
    assert frame[4] & 0b100, "the frame's checksum flag"


def test_pieces_written_one_by_one_come_out_as_one_stream_of_small_pieces() -> None:
    sealer = Sealer([PUBLIC])
    for _ in range(300):
        sealer.write(b"0123456789" * 1000)
    pieces = list(unseal(sealer.finish().data, load_identities(SECRET)))
    assert b"".join(pieces) == b"0123456789" * 300_000
    assert max(map(len, pieces)) <= 1 << 20


def test_any_of_several_recipients_opens() -> None:
    data = seal(b"for two", [PUBLIC, OTHER_PUBLIC]).data
    assert unseal_whole(data, load_identities(SECRET)) == b"for two"
    assert unseal_whole(data, load_identities(OTHER_SECRET)) == b"for two"


def test_sealing_twice_gives_different_bytes() -> None:
    assert seal(b"same", [PUBLIC]).data != seal(b"same", [PUBLIC]).data


def test_a_wrong_identity_is_named_as_such() -> None:
    data = seal(b"secret", [PUBLIC]).data
    with pytest.raises(DecryptionFailed, match="no given identity opens") as caught:
        unseal_whole(data, load_identities(OTHER_SECRET))
    assert "recipients" in caught.value.hint


def test_no_identity_at_all_is_named_as_such() -> None:
    with pytest.raises(DecryptionFailed, match="no identity is given"):
        unseal_whole(seal(b"secret", [PUBLIC]).data, ())


def test_every_flipped_bit_is_seen_before_anything_comes_out() -> None:
    data = seal(b"0123456789" * 20, [PUBLIC]).data
    identities = load_identities(SECRET)
    for position in range(len(data)):
        damaged = data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]
        with pytest.raises(DecryptionFailed):
            next(unseal(damaged, identities))


def test_every_cut_is_seen_before_anything_comes_out() -> None:
    data = seal(b"0123456789" * 20, [PUBLIC]).data
    identities = load_identities(SECRET)
    for end in range(len(data)):
        with pytest.raises(DecryptionFailed):
            next(unseal(data[:end], identities))


def _encrypted(frame: bytes) -> bytes:
    data: bytes = pyrage.encrypt(frame, [pyrage.x25519.Recipient.from_str(PUBLIC)])
    return data


def test_a_frame_that_ends_early_or_late_is_refused_at_its_end() -> None:
    plain = os.urandom(3 << 20)
    frame = pyrage.decrypt(seal(plain, [PUBLIC]).data, [pyrage.x25519.Identity.from_str(SECRET)])
    for wrong in (frame[:-1], frame[: len(frame) // 2], frame + b"more", frame + frame, b""):
        with pytest.raises(DecryptionFailed, match="exactly one whole zstd frame"):
            unseal_whole(_encrypted(wrong), load_identities(SECRET))


def test_damage_inside_a_frame_is_seen_by_its_checksum() -> None:
    frame = bytearray(pyrage.decrypt(seal(os.urandom(5000), [PUBLIC]).data, [pyrage.x25519.Identity.from_str(SECRET)]))
    frame[2500] ^= 1
    with pytest.raises(DecryptionFailed, match="compressed bytes"):
        unseal_whole(_encrypted(bytes(frame)), load_identities(SECRET))


def test_a_small_object_that_unpacks_to_much_comes_out_piece_by_piece() -> None:
    data = seal(bytes(256 << 20), [PUBLIC]).data
    assert len(data) < 100_000
    assert [len(piece) for piece in islice(unseal(data, load_identities(SECRET)), 3)] == [1 << 20] * 3


def test_an_identity_file_may_hold_comments_and_several_keys() -> None:
    text = f"# created: today\n# public key: {PUBLIC}\n{OTHER_SECRET}\n\n  {SECRET}  \n"
    identities = load_identities(text)
    assert [identity.recipient for identity in identities] == [OTHER_PUBLIC, PUBLIC]
    assert unseal_whole(seal(b"x", [PUBLIC]).data, identities) == b"x"


def test_an_ssh_key_pair_works_as_well() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    identities, recipients = load_identities(secret), check_recipients([f"{public} someone@example.org"])
    assert recipients == (public,)
    assert unseal_whole(seal(b"x", recipients).data, identities) == b"x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no private key"),
        ("# only a comment\n", "holds no private key"),
        (f"# comment\n{SECRET[:-1]}\n", "line 2 of the identity file is not a private key"),
        (PUBLIC, "line 1 of the identity file is not a private key"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", "needs an age plugin"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nabc\n-----END AGE ENCRYPTED FILE-----\n", "encrypted with a passphrase"),
    ],
    ids=["empty", "comment", "cut", "public", "plugin", "passphrase"],
)
def test_an_unusable_identity_file_is_explained_without_quoting_it(text: str, message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message) as caught:
        load_identities(text)
    assert SECRET[20:40] not in str(caught.value)


def test_an_identity_never_prints_itself() -> None:
    assert SECRET not in repr(load_identities(SECRET))
    assert PUBLIC in repr(load_identities(SECRET))


def test_recipients_are_kept_in_order_without_repetition() -> None:
    assert check_recipients([PUBLIC, f" {OTHER_PUBLIC} ", PUBLIC]) == (PUBLIC, OTHER_PUBLIC)


@pytest.mark.parametrize(
    ("recipients", "message"),
    [
        ([], "no recipient is given"),
        (["age1nonsense"], "'age1nonsense' is not a public key"),
        (["x", PUBLIC, "y"], "'x' is not a public key; 'y' is not a public key"),
        ([SECRET], "a private key is listed as a recipient"),
        (["ssh-ed25519 nonsense"], "is not a public key"),
    ],
)
def test_unusable_recipients_are_all_named(recipients: list[str], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message) as caught:
        check_recipients(recipients)
    assert SECRET not in str(caught.value)
