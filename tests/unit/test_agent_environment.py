import pytest

from agent.environment import KNOWN, unknown_setting


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_any_room_knows_is_no_typo(name):
    assert None is unknown_setting([name])


@pytest.mark.parametrize(
    "name",
    [
        "LOCO_EMULATOR_SERVICE_HOST",
        "LOCO_EMULATOR_SERVICE_PORT",
        "LOCO_EMULATOR_SERVICE_PORT_HEALTH",
        "LOCO_EMULATOR_PORT",
        "LOCO_EMULATOR_PORT_8080_TCP",
        "LOCO_EMULATOR_PORT_8080_TCP_ADDR",
        "PATH",
        "LOCOMOTIVE",
    ],
)
def test_what_kubernetes_injects_and_what_is_not_ours_is_let_be(name):
    assert None is unknown_setting([name])


def test_a_typo_is_named_with_what_was_meant():
    assert (
        "environment variable LOCO_QMP_SOKET is not a setting of loco-health (did you mean LOCO_QMP_SOCKET?); "
        "docs/configuration.md lists all; nothing was started"
    ) == unknown_setting(["LOCO_TAP", "LOCO_QMP_SOKET"])


def test_a_name_like_no_other_has_no_hint():
    sentence = unknown_setting(["LOCO_XYZZY_PLUGH_42"])

    assert "LOCO_XYZZY_PLUGH_42 is not a setting of loco-health;" in sentence
