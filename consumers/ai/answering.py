"""From what a model is asked to what is said: an analysis, a reason why there is none, or a failure to try again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from consumers.ai import kept
from consumers.ai.analysis import Analysed, ModelAway, ModelFailed, NotAnalysed
from consumers.ai.asking import Asked
from consumers.ai.config import Limits
from consumers.ai.images import Series
from consumers.ai.kept import Kept
from consumers.ai.objects import objects_of
from consumers.ai.result import RESULT, Reason, Request, Spent, analysed, unanalysed
from consumers.ai.volume import OutOfScope, Volume, volume_of
from streams import metrics
from streams.clock import Clock
from streams.deadletters import reason_of
from streams.fetching import read_copy
from streams.objects import Absent, Damaged, NoRoom, ObjectStore, StoreAway, StoreRefused
from streams.step import Done

_NOTHING_IN_SCOPE = Reason(
    "out_of_scope", "no_series_in_scope", "No series of the study is one that the model was made for."
)
_HELD = Reason(
    "failed", "images_held", "Images of the series are held, and the study did not get a revision without them."
)
_TOO_LARGE = Reason(
    "not_analysed", "too_large", "The images of the series are more than this service takes into memory."
)
_MODEL_FAILED = {
    "model_away": "The server of the model did not answer.",
    "model_slow": "The model gave no answer in its time.",
    "out_of_memory": "There was no memory for this request.",
    "wrong_shape": "The model takes, or gives, another shape than its card says.",
    "object_refused": "The store takes no such object as was made of this result.",
    "kept_unreadable": "What was kept of this result is damaged; who removes that object lets it be made again.",
}
_UNPLANNED = "The analysis ended in a fault that nobody planned for."


@dataclass(frozen=True)
class Failure:
    """The request is worth `attempts_max` more tries; after that, `reason` is what is said of it."""

    request: Request
    reason: Reason
    attempts_max: int

    @property
    def told(self) -> str:
        """For a dead letter: which model, and what happened."""
        return f"{_deployment(self.request)}: {self.reason.code}"


@dataclass(frozen=True)
class _Loaded:
    series: Series
    volume: Volume | OutOfScope
    spent: Spent


class Answering:
    """Of one record, in the order of its series: a series is read once for all models, and then let go."""

    def __init__(self, store: ObjectStore, limits: Limits, clock: Clock) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._last: _Loaded | None = None

    def answer(self, asked: Asked) -> Done | Failure:
        """Raises StoreAway, but not NoRoom. One model that fails keeps none of the others from answering."""
        request = asked.request
        try:
            if asked.waits:
                return Failure(request, _HELD, self._limits.away_attempts_max)
            if (known := kept.find(self._store, request.tenant, request.event_id(RESULT))) is not None:
                return Done.emit(*known.events)
            made = self._answered(request, asked)
            metrics.MODEL_RESULTS.labels(_deployment(request), made.result.outcome).inc()
            return _keeping(made)
        except (Absent, Damaged, NoRoom) as error:
            return images_failed(request, error, self._limits)
        except StoreAway:
            raise
        except ModelFailed as error:
            attempts = self._limits.away_attempts_max if isinstance(error, ModelAway) else self._limits.attempts_max
            return self._failed(request, error, error.code, attempts)
        except StoreRefused as error:
            return self._failed(request, error, "object_refused", self._limits.attempts_max)
        except MemoryError as error:
            return self._failed(request, error, "out_of_memory", self._limits.attempts_max)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is a failure of its own request
            return self._failed(request, error, "unplanned", self._limits.attempts_max)

    def _answered(self, request: Request, asked: Asked) -> Kept:
        if (series := asked.series) is None:
            return Kept(unanalysed(request, asked.reason or _NOTHING_IN_SCOPE, Spent(), self._clock.now()))
        if series.size > self._limits.series_bytes_max:
            return Kept(unanalysed(request, _TOO_LARGE, Spent(), self._clock.now()))
        loaded = self._loaded(series)
        if isinstance(loaded.volume, OutOfScope):
            reason = Reason("out_of_scope", loaded.volume.code, loaded.volume.detail)
            return Kept(unanalysed(request, reason, loaded.spent, self._clock.now()))
        match request.deployed.analysis.analyse(loaded.volume):
            case Analysed() as found:
                return self._described(request, found, loaded.volume, loaded.spent)
            case OutOfScope(code, detail):
                reason = Reason("out_of_scope", code, detail)
            case NotAnalysed(code, detail):
                reason = Reason("not_analysed", code, detail)
        return Kept(unanalysed(request, reason, loaded.spent, self._clock.now()))

    def _loaded(self, series: Series) -> _Loaded:
        if self._last is None or self._last.series != series:
            self._last = None  # Before the next is read: two do not have to fit.
            began_s = self._clock.monotonic()
            files = [read_copy(self._store, image.ref) for image in series.images]
            read_s = self._clock.monotonic()
            volume = volume_of(files)
            spent = Spent(read_ms=1000 * (read_s - began_s), prepared_ms=1000 * (self._clock.monotonic() - read_s))
            self._last = _Loaded(series, volume, spent)
        return self._last

    def _described(self, request: Request, found: Analysed, volume: Volume, spent: Spent) -> Kept:
        metrics.MODEL_SECONDS.labels(_deployment(request)).observe(found.times.inferred_ms / 1000)
        at, began_s = self._clock.now(), self._clock.monotonic()
        findings = request.named(found.findings)
        objects, received = objects_of(self._store, request, findings, found.segment, volume, at)
        spent = replace(
            spent,
            prepared_ms=spent.prepared_ms + found.times.prepared_ms,
            inferred_ms=found.times.inferred_ms,
            described_ms=1000 * (self._clock.monotonic() - began_s),
        )
        return Kept(analysed(request, findings, objects, spent, at), received)

    def _failed(self, request: Request, error: Exception, code: str, attempts_max: int) -> Failure:
        deployment = _deployment(request)
        metrics.MODEL_FAILURES.labels(deployment, code).inc()
        structlog.get_logger().warning("analysis_failed", deployment=deployment, code=code, error=reason_of(error))
        return Failure(request, Reason("failed", code, _MODEL_FAILED.get(code, _UNPLANNED)), attempts_max)


def _deployment(request: Request) -> str:
    return request.deployed.analysis.deployment


def images_failed(request: Request, error: Absent | Damaged | NoRoom, limits: Limits) -> Failure:
    """The images are not to be had: not yet, or not until somebody restores them, or makes room for them here."""
    if isinstance(error, NoRoom):
        structlog.get_logger().error("no_room", reason=str(error))
        reason = Reason("failed", "no_room", f"{error}.")
    elif isinstance(error, Absent):
        reason = Reason("failed", "images_absent", "Images of the study are in no store.")
    else:
        reason = Reason("failed", "images_damaged", "Stored bytes are not those that were acknowledged; restore them.")
    return Failure(request, reason, limits.away_attempts_max)


def _keeping(made: Kept) -> Done:
    """Kept under the result's name; whoever was first is right."""
    return Done((kept.new_object(made),), lambda stored: kept.read(stored[0]).events)
