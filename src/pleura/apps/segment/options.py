"""The options of `pleura segment`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.options import (
    EngineOptions,
    FilmsAsJson,
    Flip,
    Lungs,
    LungsOption,
    Panel,
    TestTimeAugmentation,
    Threads,
    names_in,
)

if TYPE_CHECKING:
    from pleura.apps.segment.output_folder import OutputFolder
    from pleura.apps.segment.work import FilmWork, OpenExecutor

__all__ = ["ComputeOptions", "MessageOptions", "OutputOptions"]


MAX_JOBS = 4
"""The most jobs by default: each holds a film in memory, and a few keep the network busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The folder for results, and the files in it."""

    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for results; folders are mirrored.")
    ]
    overlay: Annotated[
        bool, Panel.WRITTEN.option("--overlay", help="Also write the film with coloured lungs.")
    ] = False
    split: Annotated[bool, Panel.WRITTEN.option("--split", help="Also write one mask a lung.")] = (
        False
    )
    formats: Annotated[
        list[str] | None,
        Panel.WRITTEN.option(
            "--format",
            "-f",
            help="mask (the default), overlay, overlay-jpeg, split, labels, npy, nifti, coco, "
            "crop, probabilities; of DICOM films dicom-seg, dicom-seg-fractional, "
            "dicom-seg-labelmap, dicom-sr, dicom-sc, dicom-gsps, dicom-kos too; repeatable, or "
            "with commas.",
        ),
    ] = None
    resume: Annotated[
        bool,
        Panel.WRITTEN.option(
            "--resume",
            help="Continue the run in OUT: finished films are kept; a format may be added.",
        ),
    ] = False
    overwrite: Annotated[
        bool, Panel.WRITTEN.option("--overwrite", help="Start again in OUT, and replace its files.")
    ] = False
    uid: Annotated[
        bool, Panel.WRITTEN.option("--uid", help="Add the UIDs of DICOM films to results.csv.")
    ] = False

    shard: Annotated[
        str | None,
        Panel.WRITTEN.option(
            "--shard",
            metavar="K/N",
            help="Only part K of N of the films, as one of N runs into the same OUT; "
            "`pleura results merge OUT` puts their tables together.",
        ),
    ] = None

    def place(self) -> OutputFolder:
        """The folder with the formats of all options; `UsageError` for an unknown format."""
        from pleura.apps.segment.output_folder import OutputFolder
        from pleura.io.outputs import check_formats
        from pleura.io.run.shard import Shard

        names = names_in(self.formats) if self.formats else ["mask"]
        names += [name for name in ("overlay", "split") if getattr(self, name)]
        return OutputFolder(
            out=self.out,
            formats=check_formats(names),
            resume=self.resume,
            overwrite=self.overwrite,
            uid=self.uid,
            shard=None if self.shard is None else Shard.parse(self.shard),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptions(EngineOptions):
    """How films are segmented, and how many at a time."""

    lungs: LungsOption = Lungs.field
    flip: Flip = False
    tta: TestTimeAugmentation = False
    force: Annotated[
        bool,
        Panel.COMPUTED.option(
            "--force",
            help="Also segment colour photographs of films, and films whose header names another "
            "body part.",
        ),
    ] = False
    threads: Threads = None
    batch: Annotated[
        int, Panel.COMPUTED.option("--batch-size", min=1, help="Films in one call of the network.")
    ] = 1
    jobs: Annotated[
        int | None, Panel.COMPUTED.option(min=1, help="Threads that read, and as many that write.")
    ] = None

    ray: Annotated[
        str | None,
        Panel.RAY.option(
            "--ray",
            metavar="local|ADDRESS",
            help="Segment on Ray: `local` on this machine; `auto` or HOST:PORT on a cluster, "
            "whose nodes all see the films and OUT.",
        ),
    ] = None
    workers: Annotated[
        int | None,
        Panel.COMPUTED.option(
            "--workers",
            min=1,
            help="Processes that segment at the same time, each with --threads CPUs; by default "
            "one. Several are faster on many films, and take more memory. With --ray: the most "
            "workers, by default as many as the cluster has CPUs for; an autoscaler starts nodes "
            "for them.",
        ),
    ] = None

    def executor(self) -> OpenExecutor:
        """What segments the films: this process, several processes, or Ray.

        Raises:
            UsageError: two of the options do not go together.
            WeightsError: the weights file cannot be read.
        """
        from pleura.apps.cli.engines import read_weights
        from pleura.apps.segment.work import Opener, in_this_process

        opener = Opener(
            choice=self.choice(threads=self._cpus if self._several else self.threads),
            weights=tuple(read_weights(path) for path in self.weights or ()),
            definition=self.lungs.value,
            flip=self.flip,
            tta=self.tta,
        )
        if self.ray is None and self.workers and self.workers > 1:
            from pleura.apps.segment.workers.processes import in_processes

            return partial(in_processes, self.workers, opener)
        if self.ray is None:
            return partial(in_this_process, opener)
        from pleura.apps.segment.workers.ray_workers import RayOptions, on_ray

        options = RayOptions(
            address=self.ray,
            cpus=self._cpus,
            gpus=int(self.device == "cuda"),
            workers=self.workers,
        )
        return partial(on_ray, options, opener)

    def work(self, place: OutputFolder) -> FilmWork:
        """The work on each film; the results go to `place`."""
        from pleura.apps.segment.work import FilmWork
        from pleura.runtime.threads import lanes, usable_cpus

        return FilmWork(
            place=place,
            jobs=self.jobs or min(MAX_JOBS, self._cpus if self._several else usable_cpus()),
            batch=self.batch,
            lanes=lanes(self._cpus) if self.device == "cpu" else 1,
            photographs=self.force,
        )

    @property
    def _cpus(self) -> int:
        """The CPUs of one process that segments."""
        from pleura.runtime.threads import usable_cpus

        return self.threads or (1 if self.ray else max(1, usable_cpus() // (self.workers or 1)))

    @property
    def _several(self) -> bool:
        """Whether other processes than this one segment."""
        return self.ray is not None or (self.workers or 1) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """The printed messages, and the exit code."""

    as_json: FilmsAsJson = False
    strict: Annotated[
        bool,
        Panel.PRINTED.option("--strict", help="Exit with 4 if a film is to review or refused."),
    ] = False
    quiet: Annotated[
        bool, Panel.PRINTED.option("--no-progress", "-q", help="Print only errors on stderr.")
    ] = False
