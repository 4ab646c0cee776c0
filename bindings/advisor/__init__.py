"""Should a language model be compressed, switched, both or neither on this hardware? Advice from evidence.

>>> import advisor
>>> answer = advisor.recommend({"model": "meta-llama/Llama-3.1-8B-Instruct",
...                             "hardware": "nvidia-rtx-4090-24gb", "task": {"type": "chat"}})
>>> print(answer)                        # one screen: verdict, options, why
>>> report = advisor.compress("model/", "out/", technique="rtn", scheme="W4A16-g128")
>>> advisor.evaluate("out/", suite="suite/")["perplexity"]["value"]
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from ._advisor import Advisor as _Advisor
from ._advisor import Error, __version__

__all__ = ["Error", "Recommendation", "compress", "evaluate", "plan", "probe", "recommend", "__version__"]

PathLike = Union[str, "os.PathLike[str]"]
#: progress(stage, done, total, seconds); return False to cancel
Progress = Callable[[str, int, int, float], Optional[bool]]


@functools.lru_cache(maxsize=4)
def _open(data_dir: str) -> _Advisor:
    return _Advisor(data_dir)


def _advisor(data_dir: Optional[PathLike]) -> _Advisor:
    if data_dir is None:
        data_dir = os.environ.get("ADVISOR_DATA") or pathlib.Path(__file__).with_name("data")
    return _open(os.fspath(data_dir))


class Recommendation(dict):
    """The answer as a dict (schema advisor.recommendation/1) that prints as text and shows as a table in notebooks."""

    def __init__(self, values: Mapping[str, Any], text: str):
        super().__init__(values)
        self._text = text

    outcome = property(lambda self: self["outcome"], doc="recommended, infeasible or insufficient_evidence")
    verdict = property(lambda self: self["verdict"], doc="keep, compress, switch, compress_and_switch or None")
    options = property(lambda self: self["options"], doc="ranked, best first")
    rejections = property(lambda self: self["rejections"], doc="what is out, and why")

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        from .display import recommendation_html

        return recommendation_html(self)


def recommend(profile: Union[PathLike, Mapping[str, Any]], *, data_dir: Optional[PathLike] = None) -> Recommendation:
    """Decides for a profile: the path of a YAML file, or a dict with the same keys.

    Raises advisor.Error for unknown fields, models or hardware. Infeasible is an answer, not an error.
    """
    handle = _advisor(data_dir)
    if isinstance(profile, Mapping):
        values, text = handle.recommend_json(json.dumps(profile))
    else:
        values, text = handle.recommend_file(os.fspath(profile))
    return Recommendation(json.loads(values), text)


def _recipe(technique: str, scheme: str, formats: Union[str, Sequence[str]], params: Optional[Mapping[str, Any]]) -> str:
    """The recipe as JSON, which is YAML too."""
    names = formats.split(",") if isinstance(formats, str) else list(formats)
    parts = [name.split(":", 1) for name in names]
    return json.dumps(
        {
            "steps": [{"technique": technique, "scheme": scheme, "params": {k: str(v) for k, v in (params or {}).items()}}],
            "formats": [{"id": p[0], **({"type": p[1]} if len(p) == 2 else {})} for p in parts],
        }
    )


def plan(
    model: PathLike,
    out: PathLike,
    *,
    technique: str = "rtn",
    scheme: str = "W4A16-g128",
    format: Union[str, Sequence[str]] = "compressed-tensors",
    params: Optional[Mapping[str, Any]] = None,
    recipe: Optional[str] = None,
    threads: int = 0,
    overwrite: bool = False,
    data_dir: Optional[PathLike] = None,
) -> dict:
    """What compress() would do (bytes, disk, memory, time), without doing it; same arguments, same refusals."""
    text = recipe if recipe is not None else _recipe(technique, scheme, format, params)
    return json.loads(_advisor(data_dir).plan(os.fspath(model), os.fspath(out), text, threads, overwrite))


def compress(
    model: PathLike,
    out: PathLike,
    *,
    technique: str = "rtn",
    scheme: str = "W4A16-g128",
    format: Union[str, Sequence[str]] = "compressed-tensors",
    params: Optional[Mapping[str, Any]] = None,
    recipe: Optional[str] = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Optional[Progress] = None,
    data_dir: Optional[PathLike] = None,
) -> dict:
    """Compresses a checkpoint folder into `out`, verifies the files and returns the report.

    `format` is "compressed-tensors", "gguf:Q4_0", ... or several. `recipe` (YAML) replaces technique, scheme,
    format and params. The output folder appears whole or not at all, whatever the thread count the same bytes.
    """
    text = recipe if recipe is not None else _recipe(technique, scheme, format, params)
    return json.loads(
        _advisor(data_dir).compress(os.fspath(model), os.fspath(out), text, threads, overwrite, progress)
    )


def evaluate(
    model: PathLike,
    *,
    suite: PathLike,
    threads: int = 0,
    limit: int = 0,
    progress: Optional[Progress] = None,
    data_dir: Optional[PathLike] = None,
) -> dict:
    """Perplexity and multiple-choice accuracy of a checkpoint (folder or .gguf), read as an engine would read it.

    `suite` is a folder of *.txt and *.jsonl, or one such file; `limit` takes the first items of each.
    """
    return json.loads(_advisor(data_dir).evaluate(os.fspath(model), os.fspath(suite), threads, limit, progress))


def probe(*, data_dir: Optional[PathLike] = None) -> dict:
    """This machine: memory, measured bandwidth, GPUs."""
    return json.loads(_advisor(data_dir).probe())
