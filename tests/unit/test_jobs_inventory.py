"""The static inventory: what is read, and the one sentence for what is not."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ConfigError
from jobs.health.model import Instance, InstanceKey
from jobs.inventory import MAX_INVENTORY_BYTES, parse_inventory

ENTRY = {
    "id": "instance-0",
    "name": "Windows 98 (1)",
    "description": "first",
    "vncUrl": "vnc://10.0.0.7:5901",
    "streamUrl": "http://10.0.0.7:6080/vnc.html",
    "healthUrl": "http://10.0.0.7:8080",
}


def parse(*entries):
    return parse_inventory(json.dumps(entries).encode(), "instances.json")


def complaint(text):
    with pytest.raises(ConfigError) as refusal:
        parse_inventory(text if isinstance(text, bytes) else json.dumps(text).encode(), "instances.json")
    return str(refusal.value)


def test_an_entry_of_the_seed_becomes_an_instance_with_its_fields_kept():
    entry = {**ENTRY, "provisioned": True, "loco-health/expect-motion-seconds": 20, "uid": "u-1"}

    assert (
        Instance(
            key=InstanceKey("static/instance-0"),
            public_id="instance-0",
            name="Windows 98 (1)",
            description="first",
            health_url="http://10.0.0.7:8080/health",
            vnc_address=("10.0.0.7", 5901),
            uid="u-1",
            expect_motion_seconds=20.0,
            fields=entry,
        ),
    ) == parse(entry)


def test_id_and_health_url_are_enough():
    (instance,) = parse({"id": "a", "healthUrl": "http://h"})

    assert ("a", "http://h/health", None, None) == (
        instance.name,
        instance.health_url,
        instance.vnc_address,
        instance.expect_sound_seconds,
    )


def test_an_empty_array_is_an_inventory():
    assert () == parse()


@pytest.mark.parametrize(
    ("base", "full"),
    [
        ("http://h:8080", "http://h:8080/health"),
        ("http://h:8080/", "http://h:8080/health"),
        ("http://h/health", "http://h/health"),
        ("http://h/health/", "http://h/health"),
        ("https://h/a/health?full=1#x", "https://h/a/health?full=1"),
        ("http://h/healthy", "http://h/healthy/health"),
        ("http://[::1]:8080", "http://[::1]:8080/health"),
    ],
)
def test_health_is_appended_unless_the_path_says_so(base, full):
    (instance,) = parse({"id": "a", "healthUrl": base})

    assert full == instance.health_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("10.0.0.7:5901", ("10.0.0.7", 5901)),
        ("localhost:5901", ("localhost", 5901)),
        ("vnc://h:5900", ("h", 5900)),
        ("[::1]:5901", ("::1", 5901)),
        ("ws://h:6080/websockify", None),
        ("", None),
        (None, None),
    ],
)
def test_a_vnc_url_is_host_and_port_with_or_without_a_scheme(url, address):
    (instance,) = parse({"id": "a", "healthUrl": "http://h", "vncUrl": url})

    assert address == instance.vnc_address


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": None}, "entry 0: id is ''"),
        ({"id": "a/b"}, "entry 0: id is 'a/b'"),
        ({"id": "x" * 64}, "1 to 63 of"),
        ({"id": 7}, "id is 7, a text"),
        ({"name": ["x"]}, "name is ['x'], a text"),
        ({"description": "x" * 2001}, "at most 2000 characters"),
        ({"healthUrl": ""}, "healthUrl is ''"),
        ({"healthUrl": "ftp://h"}, "healthUrl is 'ftp://h', http://HOST"),
        ({"healthUrl": "http://h:99999"}, "http://HOST"),
        ({"healthUrl": "http://h:0"}, "http://HOST"),
        ({"healthUrl": "http://u:p@h"}, "http://HOST"),
        ({"healthUrl": "http://h\n.x/"}, "http://HOST"),
        ({"healthUrl": "http://[::1/"}, "http://HOST"),
        ({"healthUrl": "http://169.254.169.254/latest"}, "link-local"),
        ({"healthUrl": "http://[::ffff:169.254.169.254]/"}, "link-local"),
        ({"healthUrl": "http://[fe80::1]/"}, "link-local"),
        ({"healthUrl": "http://2852039166/"}, "four decimal numbers"),
        ({"healthUrl": "http://0xa9fea9fe/"}, "four decimal numbers"),
        ({"healthUrl": "http://224.0.0.1/"}, "multicast"),
        ({"healthUrl": "http://0.0.0.0/"}, "unspecified"),
        ({"vncUrl": "h"}, "vncUrl is 'h', HOST:PORT"),
        ({"vncUrl": "169.254.1.1:5900"}, "link-local"),
        ({"loco-health/expect-motion-seconds": 0}, "expect-motion-seconds is 0, a number of seconds"),
        ({"loco-health/expect-sound-seconds": True}, "expect-sound-seconds is True"),
        ({"loco-health/expect-sound-seconds": "15"}, "expect-sound-seconds is '15'"),
    ],
)
def test_one_wrong_field_gives_one_sentence_that_names_it(change, words):
    sentence = complaint([{**ENTRY, **change}])

    assert words in sentence
    assert sentence.startswith("instances.json: entry 0: ")
    assert sentence.endswith("")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'[\n  {"id": "a",}\n]', "line 2 column 14: JSON is malformed: trailing comma"),
        ('[\n"é" "b"]'.encode(), "line 2 column 5: JSON is malformed: expected ','"),
        (b"[", "line 1 column 2: Input data was truncated"),
        (b"", "line 1 column 1: Input data was truncated"),
        (b'["\xff"]', "line 1 column 3: not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[NaN]", "line 1 column 2"),
        (b'{"instances": []}', "must hold an array"),
        (b"[1]", "entry 0 must be an object"),
        (b" " * (MAX_INVENTORY_BYTES + 1), f"more than {MAX_INVENTORY_BYTES} bytes"),
    ],
)
def test_a_broken_file_gives_one_sentence_that_says_where(text, words):
    assert words in complaint(text)


def test_a_number_that_json_cannot_hold_is_refused():
    assert "Number out of range" in complaint(b'[{"id": "a", "healthUrl": "http://h", "x": 1e999}]')


def test_an_id_that_stands_twice_is_refused():
    assert "entry 1: id is 'instance-0', which an entry above has already" in complaint([ENTRY, ENTRY])


def test_more_instances_than_the_limit_are_refused():
    assert "10001 entries, at most 10000" in complaint([{}] * 10_001)


def test_a_byte_order_mark_is_no_mistake():
    assert () == parse_inventory(b"\xef\xbb\xbf[]", "instances.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from([*ENTRY, "uid", "loco-health/expect-sound-seconds", "other"])


def instances_or_sentence(text):
    try:
        return parse_inventory(text, "f"), None
    except ConfigError as refusal:
        return (), str(refusal)


@given(st.lists(st.dictionaries(fields, json_values | st.sampled_from(list(ENTRY.values())))) | json_values)
def test_whatever_the_file_holds_the_answer_is_instances_that_can_be_kept_or_one_sentence(content):
    instances, sentence = instances_or_sentence(json.dumps(content).encode())

    assert list(instances) == msgspec.json.decode(msgspec.json.encode(instances), type=list[Instance])
    assert sentence is None or (sentence.startswith("f: ") and "\n" not in sentence)


@given(st.binary())
def test_any_bytes_give_instances_or_one_sentence(text):
    _, sentence = instances_or_sentence(text)

    assert sentence is None or sentence.startswith("f: ")
