"""Joins the processes of a training, and ends all of them when one fails."""

from __future__ import annotations

import builtins
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, TCPStore  # not among what torch.distributed declares
from torch.distributed.rendezvous import rendezvous

import nctools.errors
from nctools.errors import NctoolsError, ProcessError
from nctools.training.companions import Companions
from nctools.training.placement import Place

_FAILURE, _HERE = "failure", "here"
# Longer than what the first process may do alone: read the labels of a large data set for the first time.
_PATIENCE = timedelta(minutes=30)
_TRAININGS = itertools.count()


@contextmanager
def joined(place: Place, *, on_gpu: bool, companions: Companions | None = None) -> Iterator[None]:
    """Be one of several processes while a block runs; if it fails in one of them, it ends in all, which say why.

    Args:
        place: The place of this process; alone, nothing happens.
        on_gpu: Whether tensors on GPUs will be exchanged.
        companions: Starts the other processes, where nobody else did.

    Yields:
        Nothing; ``torch.distributed`` is ready.

    Raises:
        ProcessError: If the block failed in another process first, for a reason that the user can mend.
        RuntimeError: If it failed there for another reason.
        KeyboardInterrupt: If the user stopped it there.
    """
    if place.size == 1:
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(_same_environment())
        if on_gpu:
            torch.cuda.set_device(place.local_rank)
        meeting = _meeting(place)
        # torchrun keeps one store: a second training in its processes must not find the addresses of the first.
        store = PrefixStore(f"nctools/{next(_TRAININGS) if place.start == 'outside' else 0}", meeting)
        if companions is not None:
            stack.enter_context(companions.started(meeting.port))
        try:
            _wait(place, store, companions)
            _join(place, store, on_gpu=on_gpu)
            with _telling(store, place):
                yield
        except RuntimeError as error:
            if not _lost_connection(error):
                raise
            happened = _what_happened(store, place, companions, error)
            raise happened from error


def _meeting(place: Place) -> TCPStore:
    if place.start == "here":
        # Port 0: any that is free. It stays ours, so nobody else can take it in between.
        return TCPStore("127.0.0.1", 0, None, is_master=True, timeout=_PATIENCE, wait_for_workers=False)
    _name_the_meeting_place()
    store, _, _ = next(iter(rendezvous("env://", place.rank, place.size, timeout=_PATIENCE)))
    if not isinstance(store, TCPStore):
        raise TypeError(f"torch.distributed met in a {type(store).__name__}, not in a TCPStore")
    return store


def _name_the_meeting_place() -> None:
    if "MASTER_ADDR" in os.environ and "MASTER_PORT" in os.environ:
        return
    # SLURM names hosts, not a port: all processes make the same one of the number of the job.
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    hosts = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
    os.environ.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(hosts))
    os.environ.setdefault("MASTER_PORT", str(15000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10000))


def _wait(place: Place, store: PrefixStore, companions: Companions | None) -> None:
    # What was started here may end before it comes, and joining would wait for it for long.
    store.set(f"{_HERE}/{place.rank}", "")
    while companions is not None and not store.check([f"{_HERE}/{rank}" for rank in range(place.size)]):
        ended = companions.ended(patience=0.1)
        if ended:
            raise ProcessError(ended)


def _join(place: Place, store: PrefixStore, *, on_gpu: bool) -> None:
    device = torch.device("cuda", place.local_rank) if on_gpu else None
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, device_id=device)


@contextmanager
def _telling(store: PrefixStore, place: Place) -> Iterator[None]:
    # Who fails says so before the others lose the connection.
    try:
        yield
    except BaseException as error:
        if not isinstance(error, ProcessError) and not _lost_connection(error):
            with suppress(RuntimeError):  # what held the words may have ended
                store.compare_set(_FAILURE, "", f"{place.rank}\n{type(error).__name__}\n{error}")
        raise
    finally:
        dist.destroy_process_group()


def _what_happened(
    store: PrefixStore, place: Place, companions: Companions | None, error: BaseException
) -> BaseException:
    # A process that was killed told nothing.
    told = ""
    with suppress(RuntimeError):
        told = store.get(_FAILURE).decode() if store.check([_FAILURE]) else ""
    if told:
        rank, kind, message = told.split("\n", 2)
        return _rebuilt(kind, f"process {rank} of {place.size} failed: {message}")
    ended = companions.ended() if companions is not None else ""
    return ProcessError(
        ended or f"process {place.rank} of {place.size} lost another one, whose own words tell why ({_line(error)})"
    )


def _rebuilt(kind: str, message: str) -> BaseException:
    if kind == "KeyboardInterrupt":
        return KeyboardInterrupt()
    known = getattr(nctools.errors, kind, getattr(builtins, kind, None))
    # What the user can mend is said in one line; anything else is an error of the program.
    mendable = isinstance(known, type) and issubclass(known, NctoolsError | OSError | ValueError)
    return ProcessError(message) if mendable else RuntimeError(f"{message} ({kind})")


def _lost_connection(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and re.search(r"gloo|NCCL|[Cc]onnection (closed|reset)", str(error)) is not None
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


@contextmanager
def _same_environment() -> Iterator[None]:
    """Undo what Lightning does for several processes: variables, the number of threads, the GPU."""
    before, threads = dict(os.environ), torch.get_num_threads()
    gpu = torch.cuda.current_device() if torch.cuda.is_available() else None
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        torch.set_num_threads(threads)
        if gpu is not None:
            torch.cuda.set_device(gpu)
