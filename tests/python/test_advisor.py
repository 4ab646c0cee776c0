"""The installed module: the same three verbs as the command, on the bundled model."""

import os
import pathlib

os.environ["ADVISOR_LOCAL"] = "none"  # not the developer's own results

import advisor
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TINY = SOURCE / "examples/models/tiny"
SUITE = SOURCE / "examples/suites/tiny"
PROFILE = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "hardware": {"id": "nvidia-a100-sxm4-80gb", "count": 1},
    "task": {"type": "chat"},
}


def test_recommend_from_dict():
    answer = advisor.recommend(PROFILE)
    assert answer.outcome == "recommended"
    assert answer.options[0]["rank"] == 1
    assert answer["schema"] == "advisor.recommendation/1"
    assert answer.verdict in str(answer)


def test_recommend_from_file(tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text("model: meta-llama/Llama-3.1-8B-Instruct\nhardware: nvidia-a100-sxm4-80gb\ntask: {type: chat}\n")
    assert dict(advisor.recommend(path)) == dict(
        advisor.recommend({**PROFILE, "hardware": "nvidia-a100-sxm4-80gb"})
    )


def test_html_escapes_what_it_shows():
    answer = advisor.recommend(PROFILE)
    answer.options[0]["model"] = "<script>"
    page = answer._repr_html_()
    assert "<table>" in page and "<script>" not in page and "&lt;script&gt;" in page


def test_errors_carry_a_code():
    with pytest.raises(advisor.Error, match="did you mean") as caught:
        advisor.recommend({**PROFILE, "model": "meta-llama/Llama-3.1-8B-Instrct"})
    assert caught.value.code == "not_found"
    with pytest.raises(advisor.Error) as caught:
        advisor.recommend({**PROFILE, "hardware": {"memory": "-1 GiB"}})
    assert caught.value.code == "invalid_argument"


def test_infeasible_is_an_answer():
    answer = advisor.recommend(
        {**PROFILE, "model": "meta-llama/Llama-3.1-405B-Instruct", "hardware": {"memory": "8 GiB"}, "allow": {"switch": False}}
    )
    assert answer.outcome == "infeasible" and answer.verdict is None and answer.rejections


def test_plan_compress_evaluate(tmp_path):
    out = tmp_path / "out"
    plan = advisor.plan(TINY, out, scheme="W8A16-channel")
    assert plan["output_bytes"] > 0 and not out.exists()
    stages = set()
    report = advisor.compress(TINY, out, scheme="W8A16-channel", progress=lambda stage, *rest: stages.add(stage))
    assert report["schema"] == "advisor.compression/1" and (out / "config.json").exists()
    assert stages
    before, after = (advisor.evaluate(m, suite=SUITE)["perplexity"]["value"] for m in (TINY, out))
    assert after == pytest.approx(before, rel=0.01)


def test_progress_cancels_and_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(advisor.Error) as caught:
        advisor.compress(TINY, out, progress=lambda *_: False)
    assert caught.value.code == "cancelled"
    assert list(tmp_path.iterdir()) == []


def test_an_exception_in_progress_comes_back(tmp_path):
    def fail(*_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        advisor.compress(TINY, tmp_path / "out", progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_probe():
    assert advisor.probe()["cpu"]["memory"] > 0
