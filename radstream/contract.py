"""`radstream contract`: the public contract, as documents for others."""

from __future__ import annotations

import click

from radstream.asyncapi import document
from radstream.output import print_json


@click.group()
def contract() -> None:
    """The public contract of topics and schemas."""


@contract.command()
def asyncapi() -> None:
    """Print every topic and message as one AsyncAPI 3.0 document, in JSON."""
    print_json(document())
