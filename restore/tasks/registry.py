"""The verbs that restore pictures, by name."""

from __future__ import annotations

from restore.tasks.colorize import ColorizeTask
from restore.tasks.deblur import Deblur
from restore.tasks.dejpeg import Dejpeg
from restore.tasks.denoise import Denoise
from restore.tasks.inpaint import Inpaint
from restore.tasks.sample import Sample
from restore.tasks.super_resolve import SuperResolve
from restore.tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (Inpaint(), SuperResolve(), Denoise(), ColorizeTask(), Deblur(), Dejpeg(), Sample())
}
