"""How long writers of `lima annotate` wait for SQLite: ten threads, each a write that may be lost and one that may not.

python benchmarks/commits.py --seconds 15
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path

from lima.annotate import people
from lima.annotate.database import Database, sqlite_url
from lima.annotate.migrate import prepare

WRITERS, THINK_SECONDS = 10, 0.1


def write(base: Database, *, durable: bool) -> float:
    """Seconds of one transaction about as large as a vote."""
    started = time.perf_counter()
    with base.write(durable=durable) as connection:
        people.record(connection, "test", 1.0, payload={"text": "x" * 400})
    return time.perf_counter() - started


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15)
    seconds = parser.parse_args().seconds
    times: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="lima-commits-") as folder:
        base = Database(sqlite_url(Path(folder) / "a.sqlite"))
        prepare(base)
        end = time.monotonic() + seconds

        def one_writer(number: int) -> None:
            generator = random.Random(number)
            while time.monotonic() < end:
                time.sleep(generator.expovariate(1 / THINK_SECONDS))
                for durable in (False, True):
                    times[durable].append(write(base, durable=durable))

        writers = [threading.Thread(target=one_writer, args=(number,)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        base.close()
    for durable, name in ((False, "may be lost"), (True, "on the disk")):
        values = sorted(times[durable])
        cells = "".join(f"{1000 * values[int(len(values) * share)]:>9.1f} ms" for share in (0.5, 0.9, 0.99))
        print(f"{name:12}{len(values) / seconds:>8.0f} a second   median, p90, p99{cells}")


if __name__ == "__main__":
    main()
