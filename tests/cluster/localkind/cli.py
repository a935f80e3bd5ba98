"""The commands, those of kind that pytest-kind and people use: create, get, load, delete; and build."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from localkind import binaries, cluster, images, kubeconfig, needs
from localkind.errors import LocalkindError
from localkind.sweep import has_traces

Command = Callable[[argparse.Namespace], None]


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        arguments = _parser().parse_args()
        arguments.command(arguments)
    except LocalkindError as error:
        print(f"localkind: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localkind", description="A real Kubernetes on one Linux machine without Docker."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser("build", help="build the programs and print their folder").set_defaults(command=_build)
    create = _noun(verbs.add_parser("create", help="cluster"), "cluster", _create)
    create.add_argument("--kubeconfig", type=Path, default=None, help="the file that gets the context")
    create.add_argument("--config", type=Path, help="a configuration of kind; only its workers are counted")
    create.add_argument("--workers", type=int, default=0, help="nodes beside the first")
    create.add_argument("--retain", action="store_true", help="keep what is there when the cluster does not come up")
    get = verbs.add_parser("get", help="clusters, kubeconfig").add_subparsers(required=True, metavar="NOUN")
    get.add_parser("clusters").set_defaults(command=lambda _: print("\n".join(cluster.names())))
    _named(get.add_parser("kubeconfig")).set_defaults(command=_get_kubeconfig)
    load = verbs.add_parser("load", help="docker-image, image-archive").add_subparsers(required=True, metavar="NOUN")
    for noun, command in (("docker-image", _load_images), ("image-archive", _load_archive)):
        loads = _named(load.add_parser(noun))
        loads.add_argument("images", nargs="+")
        loads.set_defaults(command=command)
    delete = _noun(verbs.add_parser("delete", help="cluster"), "cluster", _delete)
    delete.add_argument("--kubeconfig", help="not needed: what `create` changed is known")
    return parser


def _noun(parser: argparse.ArgumentParser, noun: str, command: Command) -> argparse.ArgumentParser:
    parser = _named(parser.add_subparsers(required=True, metavar="NOUN").add_parser(noun))
    parser.set_defaults(command=command)
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--name", default="kind", help="the cluster's name")
    return parser


def _build(_: argparse.Namespace) -> None:
    needs.check()
    print(binaries.build())


def _create(arguments: argparse.Namespace) -> None:
    needs.check()
    path = arguments.kubeconfig or kubeconfig.default_path()
    workers = arguments.workers or _workers_in(arguments.config)
    cluster.create(arguments.name, workers=workers, kubeconfig_path=path, retain=arguments.retain)
    print(
        f"localkind: cluster {arguments.name} is ready; its context is kind-{arguments.name} in {path}", file=sys.stderr
    )


def _get_kubeconfig(arguments: argparse.Namespace) -> None:
    document = json.loads(cluster.find(arguments.name).admin_kubeconfig.read_text())
    print(json.dumps(document, indent=2))


def _load_images(arguments: argparse.Namespace) -> None:
    images.load_by_name(cluster.find(arguments.name), arguments.images)


def _load_archive(arguments: argparse.Namespace) -> None:
    target = cluster.find(arguments.name)
    for archive in arguments.images:
        images.load_into_all(target, Path(archive))


def _delete(arguments: argparse.Namespace) -> None:
    if has_traces(arguments.name):
        needs.check()
        cluster.delete(arguments.name)


def _workers_in(config: Path | None) -> int:
    """Count the workers of a configuration of kind, which is YAML: the standard library can't read more of it."""
    if config is None:
        return 0
    try:
        text = config.read_text()
    except OSError as problem:
        raise LocalkindError(f"{config} can't be read ({problem.strerror}); no cluster was made") from None
    return len(re.findall(r"""^[^#\n]*\brole["']?\s*:\s*["']?worker\b""", text, flags=re.MULTILINE))
