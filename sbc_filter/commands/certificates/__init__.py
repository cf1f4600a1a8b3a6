"""`sbc-filter certificates`: list, check, fetch, import and remove other parties' certificates."""

import argparse
from pathlib import Path

from sbc_filter.commands.shared_arguments import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `certificates` can do, each with its arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="what")

    def added(name: str, sentence: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")

    listing = added("list", "list those in the folder and in the cache, and what each is worth")
    listing.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    showing = added("show", "show one of them: chain, numbers, verdict with the reason")
    showing.add_argument("url", type=_plain, metavar="URL|FILE", help="the URL in a token, or a PEM file")
    fetching = added("fetch", "fetch one from the network now, by the rules, and keep it")
    fetching.add_argument("url", type=_url, metavar="URL", help="the URL in a token")
    importing = added("import", "check a PEM file and put it into the folder, or the cache")
    importing.add_argument("url", type=_url, metavar="URL", help="the URL in tokens that it is for")
    importing.add_argument("file", type=Path, metavar="FILE", help="the signing certificate in PEM, then its issuers")
    purging = added("purge", "remove fetched certificates from the cache")
    purging.add_argument("url", type=_url, nargs="?", metavar="URL", help="the one of this URL")
    purging.add_argument("--expired", action="store_true", help="those that are of no more use, and damaged files")
    purging.add_argument("--all", action="store_true", help="all of them")
    for each in (listing, showing, fetching, importing, purging):
        add_config(each)


def _plain(text: str) -> str:
    from sbc_filter.pki.x5u import with_plain_scheme

    return with_plain_scheme(text)


def _url(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!a} is not a URL: it has more than printable ASCII characters")
    return _plain(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the action `arguments.what`; 0 good, 1 the answer is no."""
    from sbc_filter.commands.certificates.actions import act

    return act(arguments)
