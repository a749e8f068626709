"""Sends the same image again and again under new UIDs, at as little cost as can be: `python -m bench.ingest_sender`.

The sender shares the machine with what it measures, so it does nothing that a receiver cannot see. A process for each
association; what it sends is one byte string, made when the association is there, in which each instance's UIDs are
written over the last one's. A job comes in on stdin and a result goes out on stdout, both as MessagePack.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator

import msgspec

from bench.ingest_association import Association, Lost
from bench.ingest_job import Job, Result, Worked

SUCCESS = 0x0000
# Until all processes are there.
_START_S = 0.1


def main() -> None:
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    start = time.monotonic() + _START_S
    pipes = [_forked(job, worker, start) for worker in range(job.workers)]
    workers = []
    for pipe in pipes:
        with os.fdopen(pipe, "rb") as file:
            workers.append(msgspec.msgpack.decode(file.read(), type=Worked))
    for _ in pipes:
        os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.buffer.write(msgspec.msgpack.encode(Result(workers, used.ru_utime + used.ru_stime)))


def _forked(job: Job, worker: int, start: float) -> int:
    """A worker in a process of its own; where its `Worked` can be read. The load's memory is shared."""
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        return read
    code = 1
    try:
        os.close(read)
        time.sleep(max(0.0, start - time.monotonic()))
        with os.fdopen(write, "wb") as file:
            file.write(msgspec.msgpack.encode(_work(job, worker)))
        code = 0
    except Exception:  # noqa: BLE001 (a fork must not go on as its parent)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _work(job: Job, worker: int) -> Worked:
    done = Worked(worker, time.monotonic(), time.monotonic())
    deadline = done.started + job.seconds_max
    numbers = iter(range(len(range(worker, job.instances, job.workers))))
    for part in _shares(numbers, one_each=job.one_each):
        if time.monotonic() >= deadline:
            break
        try:
            with Association(job.host, job.port, job.load) as association:
                _send(job, association, part, done, deadline)
        except (OSError, Lost) as error:
            done.failed(str(error) or type(error).__name__)
            if not job.one_each:
                break
    done.ended = time.monotonic()
    return done


def _shares(numbers: Iterator[int], *, one_each: bool) -> Iterator[Iterator[int]]:
    """What each association sends."""
    if not one_each:
        yield numbers
        return
    for number in numbers:
        yield iter((number,))


def _send(job: Job, association: Association, numbers: Iterator[int], done: Worked, deadline: float) -> None:
    for number in numbers:
        began = time.monotonic()
        if began >= deadline:
            return
        association.name(job.run, done.worker, number, number // job.study_instances)
        status = association.store()
        took = time.monotonic() - began
        if status == SUCCESS:
            done.numbers.append(number)
            done.seconds.append(took)
        else:
            done.failed(f"status 0x{status:04X}")


if __name__ == "__main__":
    main()
