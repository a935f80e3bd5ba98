"""Pages as a test reads them."""

import re
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Every start tag with its attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.text = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Keep one (the parser's own hook)."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        """Keep text (the parser's own hook)."""
        self.text.append(data)


def said(html):
    """Return what a page says, without markup."""
    return re.sub(r"\s+", " ", " ".join(Tags(html).text))
