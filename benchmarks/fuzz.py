"""Damaged files through every reader: nothing crashes, hangs or takes more than its memory.

    python benchmarks/fuzz.py --files 20000 --folder /tmp/fuzz              # pictures
    python benchmarks/fuzz.py --files 10000 --folder /tmp/scans --scans    # MRI and DICOM
    python benchmarks/fuzz.py --files 5000 --folder /tmp/ct --sinograms    # CT

A worker process with a limit of its address space reads one file after another; its parent ends
it when a file takes too long, notes what was lost, and starts another at the next file. The
damage depends on the number of the file alone, so that a run that is called again goes on where it
was, and `--only N` repeats one. Files that led to a fault are kept in FOLDER/found.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import os
import random
import resource
import selectors
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzz"))
from fuzz_mutations import mutated
from fuzz_seeds import SIZE

MEMORY = 2 << 30
SECONDS = 60.0
_LEFT = ("LD_LIBRARY_PATH", "PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR")


def damaged(number: int, made: dict[str, bytes]) -> tuple[str, bytes]:
    """Name and bytes of one file."""
    rng = random.Random(f"restore {number}")
    names = sorted(made)
    name = names[number % len(names)]
    return name, mutated(rng, made[name], [made[n] for n in names])


def kinds(which: str) -> tuple[dict[str, bytes], Callable[[Path, int], str]]:
    """The files to damage, and what reads one of them."""
    if which == "sinograms":
        from fuzz_sinograms import sinogram_outcome, sinogram_seeds

        return sinogram_seeds(), lambda path, _: sinogram_outcome(path)
    if which == "scans":
        from fuzz_scans import scan_outcome, scan_seeds

        return scan_seeds(), lambda path, _: _beside(path, scan_outcome)
    from fuzz_readers import outcome
    from fuzz_seeds import seeds

    return seeds(), lambda path, number: outcome(path, SIZE, number)


def _beside(path: Path, read: Callable[[Path], str]) -> str:
    """BART's file is read with the other of its pair, whole."""
    from fuzz_scans import scan_seeds

    other = {".cfl": ".hdr", ".hdr": ".cfl"}.get(path.suffix)
    if other is not None:
        path.with_suffix(other).write_bytes(_whole(scan_seeds)[path.stem + other])
    return read(path)


@functools.cache
def _whole(make: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    return make()


def work(start: int, stop: int, folder: Path, which: str) -> None:
    """The worker: a line of JSON for each file."""
    made, read = kinds(which)
    place = folder / "now"
    place.mkdir(exist_ok=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    complaints = os.open(folder / "stderr", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(complaints, 2)
    for number in range(start, stop):
        name, data = damaged(number, made)
        path = place / name
        path.write_bytes(data)
        Path("/proc/self/clear_refs").write_text("5")  # the peak of the memory begins anew
        before, began = peak(), time.process_time()
        fault = None
        try:
            result = read(path, number)
        except Exception as error:
            result, fault = type(error).__name__, traceback.format_exc(limit=-6)
        said = os.fstat(complaints).st_size
        if said and fault is None:
            result, fault = "printed", Path(folder / "stderr").read_text(errors="replace")[:500]
        os.ftruncate(complaints, 0)
        os.lseek(complaints, 0, os.SEEK_SET)
        line: dict[str, Any] = {"number": number, "name": name, "result": result}
        line |= {"cpu": round(time.process_time() - began, 4), "bytes": peak() - before}
        print(json.dumps(line | ({"fault": fault} if fault else {})), flush=True)
        for left in place.iterdir():
            left.unlink()


def peak() -> int:
    """Largest resident memory since it was begun anew, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    return 0


def run(stop: int, folder: Path, which: str) -> None:
    """Workers one after the other until all files are done."""
    log = folder / "log.jsonl"
    made, _ = kinds(which)
    while (start := _done(log)) < stop:
        environment = {k: v for k, v in os.environ.items() if k in _LEFT}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--work", f"{start}:{stop}", "--folder", str(folder)]
        command += [f"--{which}"] * (which != "pictures")
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert worker.stdout is not None
        with log.open("a") as out, selectors.DefaultSelector() as waiting:
            waiting.register(worker.stdout, selectors.EVENT_READ)
            ended = False
            while not ended:
                if not waiting.select(SECONDS):
                    worker.kill()
                text = worker.stdout.readline().decode()
                out.write(text)
                ended = not text
        worker.stdout.close()
        code = worker.wait()
        if (lost := _done(log)) < stop:
            fault = {"number": lost, "name": damaged(lost, made)[0], "fault": f"exit {code}"}
            with log.open("a") as out:
                out.write(json.dumps(fault | {"result": "lost", "cpu": 0, "bytes": 0}) + "\n")
    report(log, folder, made)


def report(log: Path, folder: Path, made: dict[str, bytes]) -> None:
    """The figures of a run on standard output; what was found into its folder."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    kept = folder / "found"
    kept.mkdir(exist_ok=True)
    suffixes = collections.Counter(Path(line["name"]).suffix for line in lines)
    read = sum(line["result"] == "read" for line in lines)
    faults = [line for line in lines if "fault" in line]
    for line in faults:
        name, data = damaged(line["number"], made)
        (kept / f"{line['number']}_{name}").write_bytes(data)
    print(f"{len(lines)} files {dict(suffixes)}: {read} read, {len(faults)} faults")
    print(f"longest {max(line['cpu'] for line in lines)} s of a processor, in all", end=" ")
    print(f"{sum(line['cpu'] for line in lines):.0f} s; most memory ", end="")
    print(f"{max(line['bytes'] for line in lines) / 2**20:.0f} MiB")
    ends = collections.Counter(line["fault"].strip().splitlines()[-1][:150] for line in faults)
    for text, count in ends.most_common(40):
        example = next(line for line in faults if text in line["fault"])
        print(f"  {count} {text} (file {example['number']}, {example['name']})")


def _done(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scans", action="store_true", help="MRI and DICOM, not pictures")
    parser.add_argument("--sinograms", action="store_true", help="CT, not pictures")
    parser.add_argument("--work", help="of the worker: START:STOP")
    parser.add_argument("--only", type=int, help="one file again, with its traceback")
    given = parser.parse_args()
    which = "scans" if given.scans else "sinograms" if given.sinograms else "pictures"
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.work:
        start, stop = map(int, given.work.split(":"))
        work(start, stop, given.folder, which)
    elif given.only is not None:
        made, read = kinds(which)
        name, data = damaged(given.only, made)
        (given.folder / name).write_bytes(data)
        print(read(given.folder / name, given.only))
    else:
        run(given.files, given.folder, which)


if __name__ == "__main__":
    main()
