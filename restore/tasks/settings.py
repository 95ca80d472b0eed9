"""The settings of one run, checked once, and kept in its sidecar so that it can be repeated."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from restore.errors import InputError, first_error
from restore.io.json_text import parse_json
from restore.tasks.sidecar import is_sidecar

Scalar = bool | int | float | str


class RunSettings(BaseModel):
    """What every verb lets the user choose. None is "the verb's default".

    A sidecar holds the same fields with every default resolved.

    Attributes:
        most_noise: the largest σ that the verb's measurements may have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    most_noise: ClassVar[float] = math.inf

    method: str | None = Field(default=None, min_length=1)
    model: str = "photo"
    parameters: dict[str, Scalar] = {}
    preset: Literal["fast", "default", "best"] = "default"
    sigma: float | Literal["auto"] | None = None
    seed: int = Field(default=0, ge=0)
    samples: int | None = Field(default=None, ge=1)
    average: int | None = Field(default=None, ge=1)
    save_std: bool = False
    batch_size: int | None = Field(default=None, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    tile: int | None = Field(default=None, ge=64)
    reference: Path | None = None
    simulate: bool = False

    @field_validator("*", mode="before")
    @classmethod
    def _only_switches_are_true_or_false(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and kind is not bool:
            raise ValueError(f"{str(value).lower()} is no value; expected one")
        if kind is bool and not isinstance(value, bool):
            raise ValueError(f"{value!r}; expected true or false")
        return value

    @field_validator("save_std")
    @classmethod
    def _spread_is_of_several(cls, value: bool, info: ValidationInfo) -> bool:
        if value and (info.data.get("samples") or 0) < 2:
            raise ValueError("the spread of samples; expected --samples N, from 2 on")
        return value

    @field_validator("sigma")
    @classmethod
    def _sigma_is_a_level(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{value} is not a noise level; expected a number from 0")
        if isinstance(value, float) and value > cls.most_noise:
            raise ValueError(
                f"{value} is larger than the range of a picture; expected 0 to {cls.most_noise:g}"
            )
        return value


class Settings(RunSettings):
    """What the verbs of pictures let the user choose; σ is in units of a [0, 1] picture."""

    most_noise: ClassVar[float] = 1.0
    init: Path | None = None
    mask: Path | None = None
    scale: float | None = None
    size: tuple[PositiveInt, PositiveInt] | None = None
    kernel: str | None = None
    border: Literal["reflect", "replicate", "zero", "circular", "valid"] | None = None
    hints: Path | None = None
    quality: int | None = Field(default=None, ge=1, le=100)

    @field_validator("scale")
    @classmethod
    def _scale_enlarges(cls, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and value >= 1):
            raise ValueError(f"{value} does not enlarge; expected a factor of at least 1")
        return value


S = TypeVar("S", bound=RunSettings)

PARAMETERS = ("steps", "eta", "particles")
"""Parameters of methods that have an option of their own."""

OPTION_NAMES = {"parameters": "set", "preset": "fast"}

OF_VERBS = {
    "mask": ("inpaint",),
    "scale": ("super-resolve",),
    "size": ("super-resolve", "sample"),
    "kernel": ("super-resolve", "deblur"),
    "border": ("deblur",),
    "hints": ("colorize",),
}
"""Settings of pictures that only some verbs have."""

SIZES = ("size", "grid")
"""Settings that are typed as WIDTHxHEIGHT."""

OF_METHOD = ("method", "parameters", "average")
"""What the sidecar of a run with the verb's defaults has resolved."""


def resolve_settings(
    given: dict[str, Any],
    config: Path | None,
    task: str,
    kind: type[S] = Settings,  # type: ignore[assignment]
    others: Collection[str] = (),
) -> S:
    """Merge the command line over a config file over the defaults.

    Another method, `--fast` or `--best` over a sidecar takes away what its method had resolved;
    `--average` over a file takes away its samples.

    Args:
        given: options of the command line by name, as typed: `set` a list of NAME=VALUE, `sigma`
            a string, `sigma_range` its units.
        config: JSON of option names, or a sidecar, whose run is then repeated.
        task: the verb; a sidecar of another one is refused.
        kind: the settings that the verb has.
        others: options of the file that are no settings (`options_of`).

    Raises:
        InputError: one line that names the option or the file.
    """
    options, values = _read_config(config, task) if config else ({}, {})
    options = {name: value for name, value in options.items() if name not in others}
    if given.get("fast") or given.get("best"):
        options = {n: v for n, v in options.items() if n not in ("fast", "best", "preset")}
        values = {n: v for n, v in values.items() if n not in OF_METHOD}
    elif given.get("method") not in (None, values.get("method")):
        values = {n: v for n, v in values.items() if n not in OF_METHOD}
    if "sigma" in given:
        options.pop("sigma", None)
    units = str((options | given).get("sigma_range", "0-1"))
    where = f"{config}: " if config else ""
    try:
        kept = _named(values.pop("parameters", {}))
        filed = _as_settings(options, units, kind)
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    typed = _as_settings(given, units, kind)
    for together, place, dash in ((filed, where, ""), (typed, "", "--")):
        if together.get("samples") and _several(together.get("average")):
            raise InputError(
                f"{place}{dash}average: not with {dash}samples, whose mean is written anyway"
            )
    typed = {n: v for n, v in typed.items() if n in kind.model_fields}
    if _several(typed.get("average")):
        for before in (values, filed):
            before.pop("samples", None)
            before.pop("save_std", None)
    parameters = kept | filed.pop("parameters") | typed.pop("parameters")
    try:
        settings = kind.model_validate({**values, **filed, **typed, "parameters": parameters})
    except ValidationError as error:
        raise _refusal(error, typed, where) from None
    if settings.simulate and settings.reference:
        raise InputError("--reference: not with --simulate, whose input is the true picture")
    if isinstance(settings, Settings):
        for name, verbs in OF_VERBS.items():
            if getattr(settings, name) is not None and task not in verbs:
                option = f"--{name}" if name in typed else f"{where}{name}"
                raise InputError(f"{option}: not for {task}, only for {' and '.join(verbs)}")
    return settings


def _refusal(error: ValidationError, typed: Mapping[str, Any], where: str) -> InputError:
    """What is wrong with a setting, which was typed or is of the file."""
    (field, *_), reason = first_error(error)
    reason = re.sub("^Input should be", "expected", reason)
    if field not in typed:
        return InputError(f"{where}{field}: {reason}")
    option = OPTION_NAMES.get(field, field).replace("_", "-")
    shown = "" if typed[field] is True else f" {typed[field]}"
    return InputError(f"--{option}{shown}: {reason}")


def _several(average: Any) -> bool:
    return isinstance(average, int) and average > 1


def options_of(config: Path | None, task: str, names: Collection[str]) -> dict[str, str]:
    """Those options of a config file that are words; of a sidecar the kind of its output.

    Raises:
        InputError: one line that names the file.
    """
    if config is None:
        return {}
    content = _content(config, task)
    if is_sidecar(content):
        output = content.get("output")
        options = {} if output is None else {"ext": Path(str(output)).suffix[1:]}
    else:
        options = _by_name(content)
    found = {name: options[name] for name in names if name in options}
    for name, value in found.items():
        if not isinstance(value, str):
            raise InputError(f"{config}: {name}: {value}; expected a word")
    return found


def _as_settings(options: Mapping[str, Any], units: str, kind: type[RunSettings]) -> dict[str, Any]:
    """Options by name, as typed, by the names of settings, and `parameters`."""
    fields = dict(options)
    fields.pop("sigma_range", None)
    switches = {name: fields.pop(name, False) for name in ("fast", "best")}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(f"{name}: {value!r}; expected true or false")
    presets = [name for name, value in switches.items() if value]
    if len(presets) > 1:
        raise InputError("--fast and --best: expected one of them")
    if presets:
        fields["preset"] = presets[0]
    if "sigma" in fields:
        fields["sigma"] = parse_sigma(str(fields["sigma"]), units, kind.most_noise)
    for name in SIZES:
        if isinstance(fields.get(name), str):
            fields[name] = parse_size(fields[name], f"--{name}")
    kept = _named(fields.pop("parameters", {}))
    parameters = kept | {name: fields.pop(name) for name in PARAMETERS if name in fields}
    pairs = fields.pop("set", [])
    if not isinstance(pairs, list):
        raise InputError(f"set: {pairs}; expected a list of NAME=VALUE")
    for pair in map(str, pairs):
        name, equals, text = pair.partition("=")
        name = name.replace("-", "_")
        if not equals or not name:
            raise InputError(f"--set {pair}: expected NAME=VALUE")
        if name in parameters and name not in kept:
            raise InputError(f"--set {pair}: {name} is given already, as {parameters[name]}")
        parameters[name] = scalar(text)
    return fields | {"parameters": parameters}


def _named(parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, dict):
        raise InputError(f"parameters: {parameters}; expected values by name")
    return dict(parameters)


def parse_sigma(text: str, units: str, most: float = 1.0) -> float | Literal["auto"]:
    """A noise level as typed, in units of a [0, 1] picture, or of a scan.

    Raises:
        InputError: if it is neither `auto` nor a number from 0 to `most`, or the units are unknown.
    """
    if units not in ("0-1", "0-255"):
        raise InputError(f"--sigma-range {units}: expected 0-1 or 0-255")
    if text == "auto":
        return "auto"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"--sigma {text}: expected `auto` or a standard deviation from 0")
    level = value / 255 if units == "0-255" else value
    if level > most:
        hint = " (or --sigma-range 0-255)" if units == "0-1" else ""
        raise InputError(
            f"--sigma {text}: larger than the whole range of a picture; expected a value in "
            f"{units.replace('-', ' to ')}{hint}"
        )
    return level


def parse_scale(text: str) -> float:
    """A factor as typed.

    Raises:
        InputError: if it is not a number of at least 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 1):
        raise InputError(f"--scale {text}: expected a factor of at least 1")
    return value


def parse_size(
    text: str, option: str = "--size", expected: str = "WIDTHxHEIGHT, such as 640x480"
) -> tuple[int, int]:
    """WIDTHxHEIGHT as (rows, columns).

    Raises:
        InputError: if it is not two positive numbers.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise InputError(f"{option} {text}: expected {expected}")
    return int(height), int(width)


def _read_config(path: Path, task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a file by name, or the settings that a sidecar holds; the other is empty."""
    content = _content(path, task)
    return ({}, dict(content["config"])) if is_sidecar(content) else (_by_name(content), {})


def _by_name(content: Mapping[str, Any]) -> dict[str, Any]:
    named = {name.replace("-", "_"): value for name, value in content.items()}
    return {name: value for name, value in named.items() if value is not None}


def _content(path: Path, task: str) -> dict[str, Any]:
    """What a file of options, or a sidecar of the task, holds."""
    try:
        content = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a JSON file of options") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected options or a sidecar") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a JSON {type(content).__name__}; expected an object of options")
    if not is_sidecar(content):
        return content
    if content["task"] != task:
        raise InputError(
            f"{path}: the sidecar of a run of {content['task']}; expected one of {task}"
        )
    if not isinstance(content["config"], dict):
        raise InputError(f'{path}: its "config" holds no options; expected a sidecar')
    return content


def scalar(text: str) -> Scalar:
    """A parameter as typed: a number, true or false, or a word."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
