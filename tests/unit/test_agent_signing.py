import pytest

from agent.signing import (
    SCHEME,
    Signable,
    authorization,
    derive_key,
    hkdf,
    is_signed,
    parse_authorization,
    parse_keys,
    sign,
)

MASTER = bytes(range(32))
REQUEST = Signable("c.1", "POST", "/actions/reset-guest", b'{"pod_uid":"u"}', "u")


@pytest.mark.parametrize(
    ("secret", "salt", "info", "first_block"),
    [
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        ),
        (b"\x0b" * 22, b"", b"", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
    ],
)
def test_the_derivation_is_rfc_5869s_by_its_appendix_a(secret, salt, info, first_block):
    assert first_block == hkdf(secret, salt=salt, info=info).hex()


def test_each_instance_has_a_key_of_its_own_and_the_master_is_none_of_them():
    keys = {derive_key(MASTER, namespace, pod) for namespace in ("loco", "other") for pod in ("a-0", "a-1")}

    assert 4 == len(keys - {MASTER})
    assert {32} == {len(key) for key in keys}


@pytest.mark.parametrize(
    "changed",
    [
        Signable("c.2", "POST", "/actions/reset-guest", b'{"pod_uid":"u"}', "u"),
        Signable("c.1", "PUT", "/actions/reset-guest", b'{"pod_uid":"u"}', "u"),
        Signable("c.1", "POST", "/actions/restart-qemu", b'{"pod_uid":"u"}', "u"),
        Signable("c.1", "POST", "/actions/reset-guest", b'{"pod_uid":"u"} ', "u"),
        Signable("c.1", "POST", "/actions/reset-guest", b'{"pod_uid":"u"}', "v"),
    ],
)
def test_a_signature_covers_every_part_of_the_request(changed):
    signature = sign(MASTER, REQUEST)

    assert is_signed([MASTER], signature, REQUEST)
    assert not is_signed([MASTER], signature, changed)


def test_the_key_before_a_rotation_counts_and_no_other_does():
    signature = sign(MASTER, REQUEST)

    assert is_signed([b"new" * 8, MASTER], signature, REQUEST)
    assert not is_signed([b"new" * 8], signature, REQUEST)
    assert not is_signed([], signature, REQUEST)


def test_the_header_comes_back_as_it_was_sent():
    assert ("c.1", "0" * 64) == parse_authorization(authorization("c.1", "0" * 64))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer abc",
        f"{SCHEME} challenge=c, signature={'0' * 64}",
        f'{SCHEME} challenge="", signature="{"0" * 64}"',
        f'{SCHEME} challenge="{"c" * 201}", signature="{"0" * 64}"',
        f'{SCHEME} challenge="c", signature="{"0" * 63}"',
        f'{SCHEME} challenge="c", signature="{"A" * 64}"',
        f'{SCHEME} challenge="a"b", signature="{"0" * 64}"',
        f'{SCHEME} challenge="c", signature="{"0" * 64}" ',
    ],
)
def test_any_other_header_is_none(value):
    assert None is parse_authorization(value)


def test_a_key_file_holds_one_key_or_two():
    assert (b"\0" * 32,) == parse_keys("00" * 32)
    assert (b"\0" * 32, b"\1" * 32) == parse_keys(f"\n {'00' * 32} \r\n{'01' * 32}\n\n")


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "0 keys, one or two are allowed"),
        ("\n".join(["00" * 32] * 3), "3 keys, one or two are allowed"),
        ("00" * 31, "line 1 isn't 64 hexadecimal digits"),
        ("00" * 32 + "\n" + "xy" * 32, "line 2 isn't 64 hexadecimal digits"),
    ],
)
def test_any_other_key_file_is_refused_without_a_word_of_the_key(text, clause):
    with pytest.raises(ValueError, match=f"^{clause}$"):
        parse_keys(text)
