"""Workers: where points are tried, processes of this machine or of a Dask cluster."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..toolchain.errors import DataError, TargetUnavailable

PATIENCE = 30  # s that a scheduler is waited for


class Workers:
    """Does jobs, each on a worker, in whatever order they end.

    A job whose worker dies is done by another one; the fourth worker that dies of the
    same job is the job's fault.
    """

    def __init__(self, client: Any, results: Any) -> None:
        self._client = client
        self._results = results
        self._jobs: dict[str, Any] = {}

    @property
    def free(self) -> bool:
        """Whether a worker has nothing to do; with no worker yet, whether no job
        waits."""
        return len(self._jobs) < max(1, sum(self._client.nthreads().values()))

    @property
    def busy(self) -> bool:
        """Whether there are jobs that have not ended."""
        return bool(self._jobs)

    def submit(self, job: Any, function: Callable[..., Any], *arguments: Any) -> None:
        """Have ``function(*arguments)`` done.

        Args:
            job: handed back with its result.
            function: of a module that the worker has too.
            arguments: and result: small, and of classes that the worker has.
        """
        key = uuid.uuid4().hex
        future = self._client.submit(function, *arguments, key=key, pure=False)
        self._jobs[key] = job
        self._results.add(future)

    def wait(self) -> tuple[Any, Any]:
        """The next job that ends, and its result or the Exception that it raised."""
        future, result = next(self._results)
        if future.status == "error":
            result = future.exception()
        elif future.status != "finished":
            result = ConnectionError(f"a job is {future.status}")
        return self._jobs.pop(future.key), result


def died(error: Exception) -> bool:
    """Whether it says that a job's workers died, one after the other."""
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


@contextmanager
def opened(count: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Workers, for as long as they are needed.

    Args:
        count: processes of this machine; None: one for each CPU.
        scheduler: address of a Dask scheduler that has workers; None: of none.

    Raises:
        TargetUnavailable: Dask is not installed.
        DataError: nothing answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise TargetUnavailable(
            "Sweep: Dask is not installed, whose workers try the points; pip install "
            "'snn-deploy[sweep]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with ExitStack() as stack:
        # A build may hold Python's lock for longer than Dask waits for a sign of life.
        stack.enter_context(dask.config.set({"distributed.scheduler.worker-ttl": None}))
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            scheduler = stack.enter_context(cluster).scheduler_address
        try:
            client = Client(scheduler, timeout=PATIENCE)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise DataError(
                f"Dask scheduler {scheduler!r}: nothing answers there ({error}); start "
                "one (dask scheduler) and name its address, such as tcp://host:8786"
            ) from error
        stack.enter_context(client)
        yield Workers(client, as_completed(with_results=True, raise_errors=False))
