"""Whose acts a ledger takes over: every name by which a person may have called an instance."""

import pytest

from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Order, Origin
from jobs.recovery.adoption import orders_of
from jobs.recovery.jobs import Seen

KEY = InstanceKey("loco-instances/loco-emulator-3")
IDS = {KEY: "instance-3", InstanceKey("static/Kiosk-1"): "Kiosk-1"}


def _seen(public_id: str, *, key: str = "") -> Seen:
    order = Order(key=InstanceKey(key), action=Action.RESTART_QEMU, origin=Origin.REQUEST)
    return Seen(job="recover-by-hand", order=order, public_id=public_id)


def _keys(*seen: Seen) -> list[str] | None:
    orders = orders_of(seen, IDS)
    return None if orders is None else [order.key for _, order in orders]


@pytest.mark.parametrize("name", ["instance-3", "Instance-3", "instance-3-second-try", KEY])
def test_a_job_is_put_down_to_the_instance_by_each_name_that_recover_takes(name):
    assert [KEY] == _keys(_seen(name))


def test_an_id_that_no_jobs_name_can_hold_is_found_by_its_small_letters():
    assert ["static/Kiosk-1"] == _keys(_seen("kiosk-1"))


def test_an_instance_that_the_inventory_does_not_have_is_nobodys():
    assert [] == _keys(_seen("instance-30"))


def test_before_there_is_an_inventory_only_a_key_says_whose_a_job_was():
    assert orders_of([_seen("instance-3")], {}) is None
    assert [KEY] == [order.key for _, order in orders_of([_seen("", key=KEY)], {})]
