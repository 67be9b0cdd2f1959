"""``python -m lima.evaluate.watch_process STUDY``: votes in, sequences out, for a process that may not see the key.

Standard input holds ``{group: [[comparison, label], ...]}`` in the order in which people voted, standard output a list
of ``{group, pair, gap, low, high, n, planned, decided_at}``. Pairs are numbers in the order of ``systems.json``: no
name of a system leaves this process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lima.evaluate.study import Study
from lima.evaluate.watch import watched_pairs
from lima.files import read_json
from lima.statistics.estimates import Estimate


def sequences(folder: Path, votes: dict[str, list[tuple[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of standard output."""
    study = Study(folder)
    comparisons = {row.id for row in study.read_comparisons()}
    keys = {name: key for name, key in study.read_key().items() if name in comparisons}
    systems = [system["name"] for system in read_json(study.systems)["systems"]]
    alpha = study.read_protocol().plan.alpha
    found = []
    for group, labels in votes.items():
        known = [(name, label) for name, label in labels if name in keys]
        for pair in watched_pairs(known, keys, systems, alpha=alpha):
            gap = pair.watched.gap
            low, high = gap.interval if isinstance(gap, Estimate) else (None, None)
            found.append(
                {
                    "group": group,
                    "pair": [systems.index(pair.system), systems.index(pair.baseline)],
                    "gap": gap.value if isinstance(gap, Estimate) else None,
                    "low": low,
                    "high": high,
                    "n": gap.n,
                    "planned": pair.planned,
                    "decided_at": pair.watched.decided_at,
                }
            )
    return found


if __name__ == "__main__":
    print(json.dumps(sequences(Path(sys.argv[1]), json.load(sys.stdin))))
