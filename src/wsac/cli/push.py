"""The verb that publishes a captioner: ``wsac push``."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from wsac.io.console import print_json

from . import common_options as common


def push(
    model: Annotated[str, Argument(help="A run folder.", metavar="RUN")],
    repo: Annotated[str, Argument(help="Where on the Hub.", metavar="OWNER/NAME")],
    licence: Annotated[str, Option(help="Of its files, such as mit or cc-by-4.0.")] = "",
    data: Annotated[str, Option(help="What it was trained on, in a sentence.")] = "",
    scores: Annotated[
        common.Paths, Option(callback=common.existing, help="Of wsac evaluate -o. Repeatable.")
    ] = None,
    private: Annotated[
        bool, Option("--private", help="Only for you and your organisation.")
    ] = False,
    clap: Annotated[
        str | None, Option(help="Its CLAP for others, where that is a folder here.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Publish a captioner on the Hub.

    It is public unless you say --private. The token comes from hf auth login, or HF_TOKEN.

    wsac push runs/mine owner/name
    """
    from wsac.inference.captioner_folder import check_captioner

    folder = check_captioner(model, change=True)
    from wsac.inference.captioner import Captioner
    from wsac.inference.publishing import check_repo, push_folder

    check_repo(repo)
    Captioner.load(folder, clap=clap, device="cpu")  # it is whole, and its CLAP fits
    address = push_folder(
        folder,
        repo,
        clap=clap or "",
        licence=licence,
        data=data,
        scores=scores or (),
        private=private,
    )
    print_json({"repo": repo, "commit": address}) if as_json else print(address)
