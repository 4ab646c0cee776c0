"""Bad input: exit code 2 or 4, one clear message, nothing half-written."""

import json
import resource
import shutil
import signal
import struct
import subprocess

from cli import CliTest, main


def header_of(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_safetensors(path, header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


class BadCheckpoint(CliTest):
    """compress and evaluate must both refuse the folder `model`, whose weights file is `weights`."""

    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        shutil.copytree(self.tiny, self.model)
        self.weights = self.model / "model.safetensors"

    def check(self, says, expect=2):
        out = self.folder / "out"
        self.refused("compress", self.model, out, expect=expect, says=says)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["model"])
        self.refused("evaluate", self.model, "--suite", self.suite, expect=expect, says=says)

    def test_truncated(self):
        data = self.weights.read_bytes()
        self.weights.write_bytes(data[: len(data) // 2])
        self.check(["model.safetensors"])

    def test_overlapping_offsets(self):
        header, body = header_of(self.weights)
        names = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
        first, second = names[:2]
        size = header[second]["data_offsets"][1] - header[second]["data_offsets"][0]
        begin = header[first]["data_offsets"][1] - 2
        header[second]["data_offsets"] = [begin, begin + size]
        write_safetensors(self.weights, header, body)
        self.check(["model.safetensors"])

    def test_absurd_header_length(self):
        data = self.weights.read_bytes()
        self.weights.write_bytes(struct.pack("<Q", 1 << 60) + data[8:])
        self.check(["model.safetensors", "header"])

    def test_unknown_dtype(self):
        header, body = header_of(self.weights)
        header["model.norm.weight"]["dtype"] = "F7"
        write_safetensors(self.weights, header, body)
        self.check(["model.safetensors", "model.norm.weight", "F7"])

    def test_missing_shard(self):
        header, _ = header_of(self.weights)
        index = {
            "metadata": {},
            "weight_map": {n: "model-00001-of-00002.safetensors" for n in header if n != "__metadata__"},
        }
        index["weight_map"]["model.norm.weight"] = "model-00002-of-00002.safetensors"
        self.weights.rename(self.model / "model-00001-of-00002.safetensors")
        (self.model / "model.safetensors.index.json").write_text(json.dumps(index))
        self.check(["model-00002-of-00002.safetensors"])

    def test_config_is_not_json(self):
        (self.model / "config.json").write_text("{")
        self.check(["config.json"])

    def test_no_such_model(self):
        shutil.rmtree(self.model)
        out = self.folder / "out"
        self.refused("compress", self.model, out, expect=2, says=[str(self.model)])
        self.assertEqual(list(self.folder.iterdir()), [])


class BadProfile(CliTest):
    good = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "hardware": "{id: nvidia-a100-sxm4-80gb, count: 1}",
        "task": "{type: chat}",
    }

    def profile(self, **changes):
        path = self.folder / "profile.yaml"
        path.write_text("".join(f"{k}: {v}\n" for k, v in {**self.good, **changes}.items() if v is not None))
        return path

    def test_the_profile_without_mistakes_is_accepted(self):
        self.run_advisor("recommend", self.profile())

    def test_unknown_model(self):
        self.refused(
            "recommend", self.profile(model="meta-llama/Llama-3.1-8B-Instrct"), expect=2,
            says=["Llama-3.1-8B-Instrct", "did you mean", "meta-llama/Llama-3.1-8B-Instruct"],
        )

    def test_unknown_hardware(self):
        self.refused(
            "recommend", self.profile(hardware="{id: nvidia-a100-sxm4-80g}"), expect=2,
            says=["nvidia-a100-sxm4-80g", "did you mean", "nvidia-a100-sxm4-80gb"],
        )

    def test_unknown_field_with_line(self):
        self.refused("recommend", self.profile(workloat="{context: 8192}"), expect=2, says=["profile.yaml:4", "workload"])

    def test_negative_memory(self):
        self.refused(
            "recommend", self.profile(hardware="{memory: -24 GiB}"), expect=2, says=["hardware.memory", "-24 GiB"]
        )

    def test_wrong_unit(self):
        self.refused("recommend", self.profile(hardware="{memory: 24 s}"), expect=2, says=["hardware.memory", "24 s"])

    def test_no_such_file(self):
        self.refused("recommend", self.folder / "none.yaml", expect=2, says=["none.yaml"])

    def test_no_knowledge(self):
        self.refused("recommend", self.profile(), "--data", self.folder, expect=2, says=["advisor.db", str(self.folder)])


class BadOutput(CliTest):
    def test_unwritable_output(self):
        """/proc takes no folders, not even root's."""
        self.refused("compress", self.tiny, "/proc/advisor-out", expect=4, says=["/proc"])

    def test_output_below_a_file(self):
        blocker = self.folder / "file"
        blocker.write_text("")
        self.refused("compress", self.tiny, blocker / "out", expect=2, says=[str(blocker)])
        self.assertEqual(blocker.read_text(), "")

    def test_parent_does_not_exist(self):
        self.refused("compress", self.tiny, self.folder / "no" / "out", expect=2, says=[str(self.folder / "no")])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_existing_output_is_kept(self):
        out = self.folder / "out"
        out.mkdir()
        (out / "precious").write_text("1")
        self.refused("compress", self.tiny, out, expect=2, says=[str(out), "overwrite"])
        self.assertEqual((out / "precious").read_text(), "1")

    def test_full_disk(self):
        """A file system of half a megabyte where we may mount one, else a limit on the size of files."""
        small = self.folder / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small], capture_output=True)
        if mounted.returncode == 0:
            self.addCleanup(subprocess.run, ["umount", small], check=True)
            self.refused("compress", self.tiny, small / "out", expect=4, says=[str(small)])
            self.assertEqual(list(small.iterdir()), [])
        self.write_fails_midway(small / "limited")

    def write_fails_midway(self, out):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        target = self.folder / "out"
        self.refused("compress", self.tiny, target, expect=4, says=[str(target)], preexec_fn=limit)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["small"])


class BadCommandLine(CliTest):
    def test_unknown_command(self):
        self.refused("recomend", expect=2, says=["recomend", "recommend"])

    def test_unknown_option(self):
        self.refused("evaluate", self.tiny, "--siute", "x", expect=2, says=["siute"])

    def test_unknown_technique(self):
        self.refused("compress", self.tiny, self.folder / "out", "--technique", "rnt", expect=2, says=["rnt", "rtn"])

    def test_bad_scheme(self):
        self.refused("compress", self.tiny, self.folder / "out", "--scheme", "W4A16-g77", expect=2, says=["77"])
        self.refused("compress", self.tiny, self.folder / "out", "--scheme", "four", expect=2, says=["four"])

    def test_unknown_format(self):
        self.refused("compress", self.tiny, self.folder / "out", "--format", "ggml", expect=2, says=["ggml", "gguf"])

    def test_bad_split(self):
        out = self.folder / "out"
        for size in ("0", "-1GiB", "many", "3 tokens"):
            self.refused("compress", self.tiny, out, "--format", "gguf:Q4_0", "--split-max-size", size, expect=2, says=[])
        self.refused("compress", self.tiny, out, "--split-max-size", "1GiB", expect=2, says=["gguf"])

    def test_negative_threads(self):
        self.refused("compress", self.tiny, self.folder / "out", "--threads", "-1", expect=2, says=["threads"])

    def test_choices_without_answer(self):
        questions = self.folder / "q.jsonl"
        questions.write_text('{"id": "1", "context": "a", "options": ["b", "c"], "answer": 7, "family": "x"}\n')
        self.refused("evaluate", self.tiny, "--choices", questions, expect=2, says=["q.jsonl:1", "answer"])


if __name__ == "__main__":
    main(__file__)
