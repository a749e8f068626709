"""`radstream`: the groups of commands, each loaded when it is called."""

from __future__ import annotations

import sys

import click

from radstream.errors import Failure
from radstream.lazy import Lazy, LazyGroup
from streams import logs
from streams.config import ConfigError

COMMANDS = {
    "up": Lazy("radstream.stack:up", "Start the local stack, or PARTS of it."),
    "down": Lazy("radstream.stack:down", "Stop the local stack, or PARTS of it, the last started first."),
    "restart": Lazy(
        "radstream.stack:restart", "Start PARTS anew, with the code and the configuration that are there now."
    ),
    "status": Lazy(
        "radstream.status:status",
        "Show what runs, and account for every image: log, catalog and bucket against each other.",
    ),
    "doctor": Lazy(
        "radstream.doctor:doctor", "Check configuration, machine, broker, registry, store, database and services."
    ),
    "demo": Lazy(
        "radstream.demo:demo",
        "Send test images and a generated chest CT, follow them to results and through the tiers, and sum up.",
    ),
    "send": Lazy("radstream.send:send", "Send DICOM files and folders by C-STORE or STOW-RS."),
    "import": Lazy(
        "radstream.import_files:import_",
        "Wrap NIfTI, whole-slide images, TIFF, PNG, JPEG and MP4 as DICOM, and send that.",
    ),
    "validate": Lazy(
        "radstream.validate:validate",
        "Say of files what the validate step would: accepted, with findings, or quarantined.",
    ),
    "peers": Lazy("radstream.peers:peers", "Who may send to the router, how that is proven, and until when."),
    "modality": Lazy("radstream.modality:modality", "Scanners and other DICOM nodes, by name: connect, test, list."),
    "migrate": Lazy("radstream.migrate:migrate", "Pull studies from an old PACS, and compare each with the catalog."),
    "studies": Lazy("radstream.studies:studies", "List studies, the newest first."),
    "study": Lazy("radstream.studies:study", "Show one study: patient, series, verdicts, copies, revisions, results."),
    "get": Lazy("radstream.get:get", "Write a study's images as files, from whatever store they are in."),
    "render": Lazy("radstream.render:render", "Write one frame as a picture, of a file or of a stored instance."),
    "orders": Lazy("radstream.orders:orders", "Orders: what scanners find in their worklist."),
    "imports": Lazy("radstream.imports:imports", "Studies from outside: as whose they came, and whose they are here."),
    "tier": Lazy("radstream.tier:tier", "Where studies are kept, why, and what the policy wants next."),
    "hold": Lazy(
        "radstream.hold:hold", "Holds: while one is in force, nothing of its study is deleted from any store."
    ),
    "verify": Lazy(
        "radstream.verify:verify", "Check every stored copy against the chains of studies, and their signatures."
    ),
    "commitments": Lazy(
        "radstream.commitments:commitments", "Storage commitment: what senders asked for, and what they were told."
    ),
    "lag": Lazy(
        "radstream.lag:lag", "How far consumer groups are behind: records that wait, and the age of the oldest."
    ),
    "tail": Lazy(
        "radstream.tail:tail",
        "Shows the last records of TOPIC, decoded: a line each, or with --json a JSON object a line.",
    ),
    "results": Lazy(
        "radstream.results:results",
        "Show what models found, and what people said of it, in the order of time.",
    ),
    "review": Lazy(
        "radstream.review:review", "Say what a person thinks of a result, and wait until the catalog shows it."
    ),
    "routes": Lazy("radstream.routes:routes", "The site's rules: what is forwarded, tagged, held."),
    "reconcile": Lazy(
        "radstream.reconcile:reconcile",
        "Compare bucket, spool and log, and publish the event of what a crash left without one.",
    ),
    "deadletters": Lazy(
        "radstream.deadletters:deadletters",
        "Records that a group gave up: why, and back to it once the cause is mended.",
    ),
    "quarantine": Lazy(
        "radstream.quarantine:quarantine",
        "Instances that are held: why, and what people decided.",
    ),
    "findings": Lazy("radstream.findings:findings", "Which rules are broken, in how many images of which modality."),
    "rules": Lazy("radstream.rules:rules", "The rules of validation: what each means, and how much it matters here."),
    "replay": Lazy(
        "radstream.replay:replay", "Make a step's results anew beside the current ones, compare, and switch."
    ),
    "catalog": Lazy("radstream.catalog:catalog", "Compare, rebuild and migrate the catalog."),
    "contract": Lazy("radstream.contract:contract", "The public contract of topics and schemas."),
    "models": Lazy("radstream.models:models", "The models that can be deployed, and their cards."),
    "bench": Lazy("radstream.bench:bench", "Measure the running stack, and receivers beside each other."),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="radstream")
def cli() -> None:
    """Medical images from C-STORE to archive, as events on Apache Kafka."""


def main() -> None:
    """Runs a command. What a person can mend ends as one message and exit code 1, without a stack trace."""
    # On stderr, and without the texts of exceptions: stdout is for facts.
    logs.configure("radstream", "warning")
    try:
        cli(standalone_mode=True)
    except (Failure, ConfigError) as error:
        click.echo(f"radstream: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
