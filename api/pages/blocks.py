"""A report as tables: every block, every field with its unit, what can't be measured with the reason. Pure.

Labels and units come from the fields' own names, so that a field that is new to the report is here without a change.
"""

from __future__ import annotations

import re
from html import escape

import msgspec

from agent.report import Block, HealthReport
from api.pages.tables import table, wide_table

TITLES = {
    "agent": "Agent",
    "qemu": "QEMU",
    "video": "Video",
    "screen": "Screen",
    "audio": "Audio",
    "sessions": "People connected over VNC",
    "clients": "Browsers that stream",
    "performance": "Load",
    "network": "Network",
    "actions": "Acts that the agent would do",
}

# What a name ends with says its unit.
_SUFFIXES = {"_per_second": "/s", "_seconds": " s", "_cores": " cores", "_bytes": " MiB", "_ratio": " %"}

# Names of the seed and of others that don't say it; agent.report does.
_UNITS = {
    "estimated_frame_rate": " frames/s",
    "estimated_level": " of 1",
    "level": " of 1",
    "volume": " of 1",
    "cpu_usage": " %",
    "memory_usage": " %",
    "qemu_cpu": " % of a core",
    "qemu_memory": " %",
    "packetLoss": " %",
    "frozen": " %",
    "jitter": " s",
    "latency": " s",
    "framerate": " frames/s",
    "width": " px",
    "height": " px",
}
_FACTORS = {" MiB": 1 / 1024**2}
_RATIOS = ("packetLoss", "frozen")

# As agent.report.rfc3339 writes it.
_MOMENT = re.compile(r"([0-9-]{10})T([0-9:]{8})(?:\.[0-9]+)?Z")

_NO_VALUE = '<span class="unmeasured">no value</span>'


def blocks(report: HealthReport) -> str:
    """Return a table for each block of the report."""
    return "".join(_block(name, getattr(report, name)) for name in TITLES)


def field(name: str, value: object) -> tuple[str, str]:
    """Return a field's label and its value with the unit, as HTML."""
    label = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name).replace("_", " ")
    if name.endswith("_per_second"):
        label += " rate"  # a counter of the same name stands beside it
    unit = _UNITS.get(name) or next((unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), "")
    if value is None:
        return escape(label), _NO_VALUE
    if isinstance(value, bool):
        return escape(label), "yes" if value else "no"
    if isinstance(value, int | float):
        is_ratio = name.endswith("_ratio") or name in _RATIOS
        return escape(label), f"{_number(value * (100 if is_ratio else _FACTORS.get(unit, 1)))}{unit}"
    return escape(label), _text(str(value))


def list_table(entries: list[msgspec.Struct], caption: str) -> str:
    """Return a table of one row an entry and one column a field."""
    names = entries[0].__struct_fields__
    rows = [("", [field(name, getattr(entry, name))[1] for name in names]) for entry in entries]
    return wide_table(caption, [field(name, 0)[0] for name in names], rows, caption=caption)


def _block(name: str, block: msgspec.Struct | None) -> str:
    """Return one block; of one that the report lacks, that it does."""
    title = TITLES[name]
    if block is None:
        body = '<p class="unmeasured">The report has no such block.</p>'
    else:
        body = _why(block) + _scalars(block) + _lists(block)
    return f'<section class="block" id="{name}"><h3>{title}</h3>{body}</section>'


def _why(block: msgspec.Struct) -> str:
    """Return why values are missing."""
    error = block.error if isinstance(block, Block) else None
    return f'<p class="why-not">Not measured: {escape(error)}</p>' if error else ""


def _scalars(block: msgspec.Struct) -> str:
    names = [name for name in block.__struct_fields__ if name != "error"]
    values = {name: getattr(block, name) for name in names}
    rows = [field(name, value) for name, value in values.items() if not isinstance(value, list | dict)]
    for name, value in values.items():
        if isinstance(value, dict):
            rows += [(escape(f"{name} {one}"), escape(str(why))) for one, why in value.items()]
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            rows.append((escape(name), escape(", ".join(value)) or "none"))
    return table(rows)


def _lists(block: msgspec.Struct) -> str:
    """Return a table for each list of entries that isn't empty."""
    values = {name: getattr(block, name) for name in block.__struct_fields__}
    return "".join(
        list_table(value, name)
        for name, value in values.items()
        if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct)
    )


def _text(text: str) -> str:
    """Return a text; a moment of the agent's clock without its fraction, in one piece."""
    match = _MOMENT.fullmatch(text)
    return f'<span class="when">{match[1]} {match[2]} UTC</span>' if match else escape(text)


def _number(value: float) -> str:
    """Return a number as people read it: whole where it is, else four digits."""
    return str(value) if isinstance(value, int) else f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
