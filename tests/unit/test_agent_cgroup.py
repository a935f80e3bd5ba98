import pytest

from agent.cgroup import GroupHidden, Usage, read_memory, read_pressure, read_usage

MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 1 kB\n"


def write(folder, files):
    """Write files by their relative names."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


@pytest.fixture
def roots(tmp_path):
    """Return a /proc and a /sys/fs/cgroup of a machine without control groups."""
    write(
        tmp_path / "proc", {"meminfo": MEMINFO, "stat": "cpu  10 20 30 40 50 60 70 80 0 0\n", "self/cgroup": "0::/\n"}
    )
    (tmp_path / "cgroup").mkdir()
    return {"proc": tmp_path / "proc", "mount": tmp_path / "cgroup"}


V2 = {
    "cpu.stat": "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\n",
    "cpu.max": "150000 100000\n",
    "memory.max": "4096\n",
    "memory.current": "3000\n",
    "memory.stat": "anon 1\ninactive_file 1000\n",
}
SEEN_V2 = Usage("cgroup-v2", 2.5, 1.5, 2000, 4096, 10, 4)

V1 = {
    "cpu/pod/cpu.cfs_quota_us": "50000\n",
    "cpu/pod/cpu.cfs_period_us": "100000\n",
    "cpu/pod/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 5\n",
    "cpuacct/pod/cpuacct.usage": "2500000000\n",
    "memory/pod/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/pod/memory.usage_in_bytes": "3000\n",
    "memory/pod/memory.stat": "cache 1\ntotal_inactive_file 4000\n",
}


def test_version_2_is_read_from_the_groups_folder(roots):
    write(roots["proc"], {"self/cgroup": "0::/pod\n"})
    write(roots["mount"] / "pod", V2)

    assert SEEN_V2 == read_usage(**roots)


def test_a_group_mounted_at_the_root_is_found_there(roots):
    write(roots["proc"], {"self/cgroup": "0::/kubepods/pod1\n"})
    write(roots["mount"], V2)

    assert SEEN_V2 == read_usage(**roots)


def test_the_group_of_another_process_is_read(roots):
    write(roots["proc"], {"7/cgroup": "0::/pod\n"})
    write(roots["mount"] / "pod", V2)

    assert "cgroup-v2" == read_usage(7, **roots).scope
    assert "host" == read_usage(**roots).scope


def test_a_group_of_another_container_is_not_taken_for_our_own(roots):
    write(roots["mount"], V2)
    write(roots["proc"], {"self/cgroup": "0::/\n", "7/cgroup": "0::/../other\n"})

    with pytest.raises(GroupHidden):
        read_usage(7, **roots)


def test_a_group_of_another_container_is_not_taken_for_our_own_in_version_1(roots):
    own = {name.replace("/pod/", "/"): text for name, text in V1.items()}
    groups = "4:memory:/{0}\n3:misc:/\n2:cpuacct:/{0}\n1:cpu:/{0}\n0::/\n"
    write(roots["mount"], own)
    write(roots["proc"], {"self/cgroup": groups.format("mine"), "7/cgroup": groups.format("other")})

    assert "cgroup-v1" == read_usage(**roots).scope
    with pytest.raises(GroupHidden):
        read_usage(7, **roots)


def test_max_means_no_limit(roots):
    write(roots["mount"], {**V2, "cpu.max": "max 100000\n", "memory.max": "max\n"})
    usage = read_usage(**roots)

    assert (None, None) == (usage.cpu_limit_cores, usage.memory_limit_bytes)


def test_version_1_is_read_controller_by_controller(roots):
    write(roots["proc"], {"self/cgroup": "4:memory:/pod\n2:cpuacct:/pod\n1:cpu:/pod\n0::/\n"})
    write(roots["mount"], V1)

    assert Usage("cgroup-v1", 2.5, 0.5, 0, None, 10, 4) == read_usage(**roots)


def test_a_version_1_without_quota_has_no_cpu_limit(roots):
    write(roots["proc"], {"self/cgroup": "4:memory:/pod\n1:cpu,cpuacct:/pod\n"})
    write(roots["mount"], {**V1, "cpu/pod/cpu.cfs_quota_us": "-1\n"})

    assert None is read_usage(**roots).cpu_limit_cores


def test_without_groups_the_host_is_read(roots):
    usage = read_usage(**roots)

    assert ("host", 600 * 1024, None, 0) == (usage.scope, usage.memory_bytes, usage.memory_limit_bytes, usage.periods)
    assert pytest.approx(2.7) == usage.cpu_seconds  # 270 of 360 ticks are neither idle nor iowait


def test_memory_is_in_bytes(roots):
    assert 1000 * 1024 == read_memory(proc=roots["proc"])["MemTotal"]


def test_pressure_is_a_ratio_and_none_where_the_kernel_has_none(roots):
    write(roots["proc"], {"pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00\n"})

    assert 0.125 == read_pressure("cpu", proc=roots["proc"])
    assert None is read_pressure("memory", proc=roots["proc"])
