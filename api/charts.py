"""Values over time as inline SVG: small lines, bars of verdicts, charts with axes. Pure.

No style attribute, so that a strict Content-Security-Policy holds; a value that is missing is a gap.
"""
