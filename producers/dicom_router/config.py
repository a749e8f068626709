"""What can be set in [router]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from producers.dicom_router.spool.config import Settings as Spool
from producers.dicom_router.stow.config import Settings as Stow
from producers.dicom_router.trust.config import Tls
from producers.dicom_router.watch.config import Settings as Watched
from schemas import Lane
from streams import peer_share
from streams.config import Service
from streams.networks import is_loopback
from streams.titles import AeTitle


class Settings(Service, frozen=True, kw_only=True):
    """`lanes` maps a calling AE title to the lane of what it sends; all others travel in 'routine'.

    `peers` names the file that says who may send (`streams.peers.reading`); without one only this machine may. Times
    are in seconds. A peer is an address, of IPv6 a /64: `associations_per_peer_max` of them leave room for the others
    (`of_one_address_max`).
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    # How many processes take associations, on the same ports (docs/operations.md). More than one is worth it where
    # the spool acknowledges, or the store takes more than one process brings.
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    host: str = "127.0.0.1"
    ae_title: AeTitle = "RADSTREAM"
    peers: Path | None = None
    tls: Tls | None = None
    lanes: Mapping[AeTitle, Lane] = msgspec.field(default_factory=dict)
    associations_max: Annotated[int, Meta(ge=1)] = 64
    associations_per_peer_max: Annotated[int, Meta(ge=1)] | None = None
    # How many C-STOREs a sender may have outstanding on one association, where it asks for that (PS3.7 annex D.3.3.3):
    # the next is read while those before are written. 1 turns it off.
    operations_per_association_max: Annotated[int, Meta(ge=1, le=256)] = 16
    # What a sender may put into one P-DATA-TF; the larger, the fewer system calls for each object (PS3.8 annex D.1).
    pdu_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 20)] = 131_072
    # Up to what a native element may have (tomosynthesis, whole slides), and what a store takes in one PUT.
    object_bytes_max: Annotated[int, Meta(ge=1 << 20, le=4 << 30)] = 4 << 30
    # For the objects of all associations that are coming in, beyond 768 KiB for each: in memory, and what does not fit
    # there in files without names in `objects_folder` (else where the system has temporary files).
    objects_memory_bytes_max: Annotated[int, Meta(ge=0)] = 40 << 20
    objects_disk_bytes_max: Annotated[int, Meta(ge=0)] = 16 << 30
    objects_folder: Path | None = None
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    # From the connection to the accepted association.
    set_up_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    # A peer that is silent for so long loses its association.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # What a message that has begun must bring on average, beyond its first `idle_timeout_s`.
    message_bytes_per_s_min: Annotated[int, Meta(ge=1)] = 1024
    # However busy, an association is asked to release after this; the sender opens another.
    association_timeout_s: Annotated[float, Meta(gt=0)] = 86_400.0
    spool: Spool = Spool()
    stow: Stow | None = None
    watch: Watched | None = None
    # How long associations may go on after SIGTERM, or once a newer process serves.
    stop_timeout_s: Annotated[float, Meta(ge=0)] = 20.0

    @property
    def of_one_address_max(self) -> int:
        return peer_share.of_one_address(self.associations_max, self.associations_per_peer_max, default=48)

    def __post_init__(self) -> None:
        super().__post_init__()
        peer_share.check("associations", self.associations_max, self.associations_per_peer_max)
        if self.peers is None and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} lets other machines in, and nothing says which may send: write a peers file "
                "(docs/hospitals.md has one to begin with), try it by `radstream peers check FILE`, name it in peers; "
                'or listen on this machine alone, host = "127.0.0.1"'
            )
        if self.peers is None and self.tls is not None:
            raise ValueError(
                "tls is there and peers is not: a certificate proves nothing where no AE title is bound to it; write a "
                "peers file (docs/hospitals.md) and name it in peers"
            )

    def share_of(self, processes: int) -> Settings:
        """The same, for one of so many processes, with its share of the memory and the disk for objects.

        Associations are counted by all together (`streams.admission`), and so is what is on the spool.
        """
        disk = max(self.objects_disk_bytes_max // processes, min(self.object_bytes_max, self.objects_disk_bytes_max))
        memory = self.objects_memory_bytes_max // processes
        return msgspec.structs.replace(self, objects_memory_bytes_max=memory, objects_disk_bytes_max=disk)
