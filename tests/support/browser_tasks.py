"""How long a page's main thread was busy at a stretch, in CPU time, which nothing else on the machine prolongs."""

import json
from contextlib import contextmanager


@contextmanager
def busiest_ms(page):
    """Yield a list that holds, after the block, the CPU time of the page's longest task in milliseconds."""
    browser = page.context.browser
    browser.start_tracing(page=page, categories=["toplevel"])
    found = []
    try:
        yield found
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
        mains = {
            (event["pid"], event["tid"])
            for event in events
            if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        tasks = [one for one in events if one["ph"] == "X" and (one["pid"], one["tid"]) in mains]
        found.append(max(one.get("tdur", 0) for one in tasks) / 1000)
