"""Where metrics are computed: processes of this machine, or workers of a Dask cluster.

Entry point: :func:`workers`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, parallel_config

from separation.errors import RecipeError
from separation.process import parallel

ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
CONNECT_SECONDS = 10

Run = Callable[[Iterable[Any]], Iterator[Any]]  # of joblib's delayed jobs; results in their order


@contextlib.contextmanager
def workers(nj: int, scheduler: str = "") -> Iterator[Run]:
    """Yield what runs jobs and gives their results one by one.

    Args:
        nj: processes on this machine; 0: one a core.
        scheduler: address of a Dask scheduler, ``tcp://host:port``, whose workers are used instead.

    Raises:
        RecipeError: no such scheduler, or workers that cannot do it.
    """
    if not scheduler:
        yield parallel(nj, return_as="generator")
        return
    client = connect(scheduler)
    try:
        with parallel_config(backend="dask", client=client):
            yield Parallel(n_jobs=-1, return_as="generator")
    finally:
        client.close()


def connect(scheduler: str) -> Any:
    """A client of a Dask scheduler whose workers can import what computes the metrics.

    Raises:
        RecipeError: says what is missing.
    """
    where = f"--scheduler {scheduler}"
    if not ADDRESS.fullmatch(scheduler):
        raise RecipeError(f"{where}: not an address; give one such as tcp://node1:8786")
    try:
        from distributed import Client
    except ImportError as error:
        raise RecipeError(
            f"{where}: package {error.name} is missing; pip install it as requirements.txt pins it"
        ) from error
    start = f"start them by: . ./path.sh; dask worker --nthreads 1 {scheduler}"
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise RecipeError(f"{where}: no Dask scheduler answers there") from error
    try:
        if not client.ncores():
            raise RecipeError(f"{where}: has no workers; {start}")
        client.run(ready)
    except ModuleNotFoundError as error:
        client.close()
        raise RecipeError(f"{where}: a worker has no module {error.name}; {start}") from error
    except BaseException:
        client.close()
        raise
    return client


def ready() -> bool:
    """Import, on a worker, what computes the metrics."""
    import separation.evaluation.metrics

    return bool(separation.evaluation.metrics.METRICS)
