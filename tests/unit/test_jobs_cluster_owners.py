"""StatefulSets and Services: whatever somebody made, what is kept of them is bounded."""

from pods import SELECTOR

from jobs.cluster.owners import MAX_PORTS, MAX_SERVICES, services_of


def a_service(name="loco-emulator", *, ports=1, selector=SELECTOR):
    """Return a Service as the API server sends it."""
    spec = {"selector": selector, "ports": [{"name": f"p{port}", "port": port} for port in range(1, ports + 1)]}
    return {"metadata": {"name": name}, "spec": spec}


def test_services_that_select_other_pods_are_left_out():
    services = [a_service(), a_service("other", selector={"app": "other"}), a_service("none", selector=None)]

    assert ["loco-emulator"] == [one.name for one in services_of(services, [SELECTOR])]


def test_of_very_many_services_and_ports_the_first_are_kept():
    found = services_of((a_service(f"s{number}", ports=50) for number in range(200)), [SELECTOR])

    assert [f"s{number}" for number in range(MAX_SERVICES)] == [one.name for one in found]
    assert {MAX_PORTS} == {len(one.ports) for one in found}
