#!/bin/sh
# The seed's command line for one instance: serve the report on :8080, print it, or test the instance by hand.
set -eu

case "${1:-serve}" in
serve | report | test) exec python3 -m agent "${1:-serve}" ;;
*)
    echo "usage: $0 [serve|report|test]" >&2
    exit 1
    ;;
esac
