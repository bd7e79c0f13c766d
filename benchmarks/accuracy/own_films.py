"""From a folder of one's own films to judged weights: the four commands of the how-to, timed.

    python -m benchmarks.accuracy.own_films DATA -o work
    python -m benchmarks.accuracy.own_films DATA -o work --channels field --epochs 3

It makes `work/films`: 24 DICOM films of 8 patients, from films of split val of a data set, which
the shipped weights were not trained on. Their masks are in five formats: Labelme, COCO, CVAT,
NIfTI and numpy. Then it runs check, split, finetune and evaluate on two threads, and writes their
times and the validation Dice to `work/own_films.json`. It exits with 1 if a command fails, if the
Dice is under 0.95, or if the commands take more than 15 minutes of processor time on each of two
cores.

Each `--channels` fine-tunes with these channels too, and the validation Dice of each of these runs
is written beside the first; `--epochs` shortens all runs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines, rle
from pleura.lab.data.film import Film, with_masks
from pleura.lab.data.labels import target_for
from pleura.lab.data.layouts import read_films

FILMS, PATIENTS, CORES = 24, 8, 2
WANTED_DICE, WANTED_MINUTES = 0.95, 15


def save_film(path: Path, pixels: NDArray[np.float32], patient: str) -> None:
    """Write a DICOM film of 8 bits."""
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.SOPInstanceUID = generate_uid()
    film.PatientID, film.Modality = patient, "CR"
    film.BodyPartExamined, film.ViewPosition = "CHEST", "PA"
    grey = 255 * (pixels - pixels.min()) / np.ptp(pixels)
    film.set_pixel_data(grey.astype(np.uint8), "MONOCHROME2", 8)
    dcmwrite(path, film, enforce_file_format=True)


def save_labelme(masks: dict[str, Mask], root: Path) -> None:
    """A JSON file a film, with outlines of the lungs."""
    for stem, mask in masks.items():
        shapes = [
            {"label": "lungs", "shape_type": "polygon", "points": outline.tolist()}
            for outline in outlines(mask)
        ]
        size = {"imageHeight": mask.shape[0], "imageWidth": mask.shape[1]}
        content = {"shapes": shapes, "imagePath": f"{stem}.png", **size}
        (root / "masks" / f"{stem}.json").write_text(json.dumps(content))


def save_coco(masks: dict[str, Mask], root: Path) -> None:
    """One JSON file, with run lengths."""
    images, annotations = [], []
    for number, (stem, mask) in enumerate(masks.items()):
        height, width = mask.shape
        images.append({"id": number, "file_name": f"{stem}.png", "height": height, "width": width})
        runs = {"size": [height, width], "counts": rle(mask)}
        annotations.append({"image_id": number, "category_id": 1, "segmentation": runs})
    categories = [{"id": 1, "name": "lungs"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "masks" / "instances_default.json").write_text(json.dumps(content))


def save_cvat(masks: dict[str, Mask], root: Path) -> None:
    """One XML file, with outlines."""
    images = []
    for stem, mask in masks.items():
        points = [";".join(f"{x:g},{y:g}" for x, y in outline) for outline in outlines(mask)]
        shapes = "".join(f'<polygon label="lungs" points="{line}"/>' for line in points)
        size = f'width="{mask.shape[1]}" height="{mask.shape[0]}"'
        images.append(f'<image name="{stem}.png" {size}>{shapes}</image>')
    text = f"<annotations><meta/>{''.join(images)}</annotations>"
    (root / "masks" / "annotations.xml").write_text(text)


def save_nifti(masks: dict[str, Mask], root: Path) -> None:
    """A gzipped file a film."""
    for stem, mask in masks.items():
        image = nibabel.Nifti1Image(mask.T.astype(np.uint8)[..., None], np.eye(4))  # type: ignore[no-untyped-call]
        nibabel.save(image, root / "masks" / f"{stem}_seg.nii.gz")  # type: ignore[no-untyped-call]


def save_numpy(masks: dict[str, Mask], root: Path) -> None:
    """An array a film."""
    for stem, mask in masks.items():
        np.save(root / "masks" / f"mask_{stem}.npy", mask)


WRITERS: tuple[Callable[[dict[str, Mask], Path], None], ...] = (
    save_labelme,
    save_coco,
    save_cvat,
    save_nifti,
    save_numpy,
)


def make_folder(films: Sequence[Film], root: Path) -> None:
    """Write the films and their masks, the formats in turn."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    masks: list[dict[str, Mask]] = [{} for _ in WRITERS]
    for number, film in enumerate(films):
        stem, patient = f"film{number:02}", f"PAT-{number * PATIENTS // len(films)}"
        save_film(root / "images" / f"{stem}.dcm", film.read_image().pixels, patient)
        mask = target_for(film.read_labels(), "field")
        assert mask is not None
        masks[number % len(WRITERS)][stem] = mask
    for write, written in zip(WRITERS, masks, strict=True):
        write(written, root)


def choose(data: Path) -> list[Film]:
    """Films of split val, evenly from all of them, with masks of the film's size."""
    films = [film for film in with_masks(read_films(data)) if film.split == "val"]
    if len(films) < FILMS:
        raise SystemExit(f"{data}: {len(films)} films of split val; {FILMS} are needed")
    return [films[index * len(films) // FILMS] for index in range(FILMS)]


def timed(*words: object) -> dict[str, Any]:
    """Run a command of Pleura on two threads; its time by the clock and of the processors, s."""
    threads = {"OMP_NUM_THREADS": str(CORES)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "pleura", *map(str, words)]
    done = subprocess.run(command, env={**os.environ, **threads}, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = {"seconds": time.monotonic() - begun, "processor_seconds": spent}
    return {"command": str(words[0]), "exit_code": done.returncode, **seconds}


def best_dice(table: Path) -> float:
    """The best validation Dice in a run's `metrics.csv`."""
    with table.open(encoding="utf-8") as file:
        return max(float(row["val_dice"]) for row in csv.DictReader(file))


def tuned_dice(tuning: Sequence[object], channels: str, out: Path) -> float | None:
    """The best validation Dice of a run with these channels; None if the command fails."""
    run = out / channels.replace(",", "-")
    failed = timed(*tuning, "--channels", channels, "-o", run)["exit_code"]
    return None if failed else best_dice(run / "metrics.csv")


def main() -> None:
    """Make the folder, run the commands, write and judge the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set with at least 24 films of split val")
    parser.add_argument("-o", "--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--channels", action="append", default=[], help="such as field")
    parser.add_argument("--epochs", type=int, help="epochs of each run")
    options = parser.parse_args()
    root, split, run = (options.out / name for name in ("films", "split.csv", "run"))
    make_folder(choose(options.data), root)
    length = ("--epochs", options.epochs) if options.epochs else ()
    tuning = ("finetune", root, "--splits", split, "-q", *length)
    steps = [
        timed("data", "check", root),
        timed("data", "split", root, "-o", split),
        timed(*tuning, "-o", run),
    ]
    weights = run / "weights" / "finetuned.onnx"
    judged = ("--weights", weights, "-o", options.out / "report", "-q")
    steps.append(timed("evaluate", root, "--splits", split, *judged))
    dice = best_dice(run / "metrics.csv")
    processors = sum(step["processor_seconds"] for step in steps)
    others = {channels: tuned_dice(tuning, channels, options.out) for channels in options.channels}
    figures = {
        "val_dice": dice,
        "processor_minutes": processors / 60,
        "steps": steps,
        "val_dice_by_channels": others,
    }
    (options.out / "own_films.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))
    failed = any(step["exit_code"] for step in steps)
    sys.exit(failed or dice < WANTED_DICE or processors / CORES / 60 > WANTED_MINUTES)


if __name__ == "__main__":
    main()
