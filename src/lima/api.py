"""Every command as a Python function with its settings class: what the command line calls, for scripts and notebooks.

A name is imported when it is first used, so that `import lima.api` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lima.cli import COMMANDS

if TYPE_CHECKING:  # what a type checker and an editor see; at run time `__getattr__` finds the same
    from lima.align.align import align as align
    from lima.align.settings import AlignSettings as AlignSettings
    from lima.annotate.archive import database as database
    from lima.annotate.prolific.run import prolific as prolific
    from lima.annotate.prolific.settings import ProlificSettings as ProlificSettings
    from lima.annotate.serve import annotate as annotate
    from lima.annotate.settings import AnnotateSettings as AnnotateSettings
    from lima.annotate.settings import DatabaseSettings as DatabaseSettings
    from lima.checkpoint.checkpoint import checkpoint as checkpoint
    from lima.checkpoint.settings import CheckpointSettings as CheckpointSettings
    from lima.curate.inspect import inspect_file as inspect_file
    from lima.curate.pipeline import curate as curate
    from lima.curate.settings import CurateSettings as CurateSettings
    from lima.curate.settings import InspectSettings as InspectSettings
    from lima.doctor.doctor import doctor as doctor
    from lima.doctor.settings import DoctorSettings as DoctorSettings
    from lima.evaluate.comparisons import compare as compare
    from lima.evaluate.judge import judge as judge
    from lima.evaluate.settings import CompareSettings as CompareSettings
    from lima.evaluate.settings import JudgeSettings as JudgeSettings
    from lima.experiments.bench.bench import bench as bench
    from lima.experiments.bench.settings import BenchSettings as BenchSettings
    from lima.experiments.demo.demo import demo as demo
    from lima.experiments.demo.settings import DemoSettings as DemoSettings
    from lima.experiments.experiment import experiment as experiment
    from lima.experiments.settings import ExperimentSettings as ExperimentSettings
    from lima.formats.convert import export_file as export_file
    from lima.formats.convert import import_file as import_file
    from lima.formats.settings import ExportSettings as ExportSettings
    from lima.formats.settings import ImportSettings as ImportSettings
    from lima.generate.chat import chat as chat
    from lima.generate.run import generate as generate
    from lima.generate.serve.server import serve as serve
    from lima.generate.settings import ChatSettings as ChatSettings
    from lima.generate.settings import GenerateSettings as GenerateSettings
    from lima.generate.settings import ServeSettings as ServeSettings
    from lima.publish.gguf import export_gguf as export_gguf
    from lima.publish.publish import publish as publish
    from lima.publish.settings import ExportGgufSettings as ExportGgufSettings
    from lima.publish.settings import PublishSettings as PublishSettings
    from lima.regress.regress import regress as regress
    from lima.regress.settings import RegressSettings as RegressSettings
    from lima.remote.probe import probe as probe
    from lima.remote.settings import ProbeSettings as ProbeSettings
    from lima.report.power import power as power
    from lima.report.report import report as report
    from lima.report.settings import PowerSettings as PowerSettings
    from lima.report.settings import ReportSettings as ReportSettings
    from lima.select.select import select as select
    from lima.select.settings import SelectSettings as SelectSettings
    from lima.train.run import train as train
    from lima.train.settings import TrainSettings as TrainSettings

_PLACES = {
    place.partition(":")[2]: place
    for command in COMMANDS.values()
    for place in (command.run, command.settings)
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return list(__all__)
