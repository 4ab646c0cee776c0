#!/usr/bin/env python3
"""Fails when a folder includes what it must not know.

The tables below are the house's dependency arrows (docs/architecture.md). Run it with no argument for this
repository, or with the root of another tree. It needs only Python.
"""

import pathlib
import re
import sys
import tempfile
import unittest

# folder -> what it is built on directly; what those are built on, it may include too.
USES = {
    "core": [],
    "expr": ["core"],
    "rules": ["expr"],
    "estimate": ["core"],
    "route": ["core"],
    "rank": ["core"],
    "recommend": ["rules", "estimate", "route", "rank"],
    "report": ["core"],
    "io": ["core"],
    "tensor": ["core"],
    "checkpoint": ["tensor"],
    "lm": ["checkpoint"],
    "compress": ["lm"],
    "evaluate": ["lm"],
    "facade": ["recommend", "report", "io", "compress", "evaluate"],
}
# Outside the library the arrow is not transitive: the surfaces see the facade and the core values, nothing deeper.
SURFACES = {
    "capi": {"core", "facade", "capi"},
    "bindings": {"core", "facade", "bindings"},
    "cli": {"core", "facade", "cli"},
    "tools": {"core", "estimate", "io", "tools"},
}
# What a folder's files may include besides the standard library and POSIX: a header or everything under a prefix.
# A header that includes such a thing is private to its folder; nobody else may include it, not even indirectly.
THIRD_PARTY = {
    "core": ["nlohmann/"],
    "rules": ["boost/graph/"],
    "estimate": ["boost/math/", "Eigen/"],
    "route": ["boost/graph/"],
    "io": ["sqlite3.h", "yaml-cpp/", "nlohmann/"],
    "tensor": ["hwy/", "cblas.h", "lapacke.h"],
    "checkpoint": ["nlohmann/"],
    "lm": ["unicode/"],
    "compress": ["nlohmann/", "nettle/", "xxhash.h"],
    "evaluate": ["nlohmann/"],
    "bindings": ["pybind11/"],
    "cli": ["boost/program_options", "nlohmann/"],
    "tools": ["sqlite3.h"],
}
POSIX = re.compile(r"^(sys/\w+|linux/\w+|unistd|fcntl|dlfcn|dirent|pthread|sched|signal|termios|cpuid|link|elf)\.h$")
# What only some folders of the library may do. Comments are removed before the search.
HABITS = [
    ("prints", re.compile(r"\bstd::(cout|cerr|clog)\b|\b(std::)?(f?printf|f?puts)\s*\("), set()),
    ("reads the environment", re.compile(r"\bgetenv\s*\("), {"facade"}),
    ("opens a file", re.compile(r"\bstd::[io]?fstream\b|\bfopen\s*\(|::open\s*\("),
     {"io", "checkpoint", "lm", "compress", "evaluate", "facade"}),
]
LONG = 400  # lines; reported, not refused

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
MODULE = re.compile(r"advisor_module\((\w+)([^)]*)\)")


def reachable(module):
    """The module and everything it is built on."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(USES[name])
    return seen


def is_standard(header):
    """Standard headers are the ones without a dot, and the C ones."""
    c = "assert ctype errno float inttypes limits locale math signal stdarg stddef stdint stdio stdlib string time"
    return "." not in header and "/" not in header or header in {f"{name}.h" for name in c.split()}


def owner(path):
    """The module a file belongs to, from its path relative to the root; None for what is not ours to judge."""
    if path.parts[0] in SURFACES:
        return path.parts[0]
    if path.parts[0] != "libadvisor":
        return None
    return path.parts[1] if len(path.parts) > 2 else path.stem.split("_")[0]


class File:
    """One source file: its folder, its includes with their lines, and what each quoted include resolves to."""

    def __init__(self, root, path):
        self.path, self.module = path, owner(path)
        self.text = (root / path).read_text(encoding="utf-8")
        self.includes = []  # (line number, text between the delimiters, path relative to the root or None)
        for match in INCLUDE.finditer(self.text):
            quoted, angled = match.groups()
            line = self.text.count("\n", 0, match.start(match.lastindex)) + 1
            self.includes.append((line, quoted or angled, self.resolve(root, quoted) if quoted else None))

    def resolve(self, root, quoted):
        """A neighbour, else relative to libadvisor/ or to the root; a file that does not exist counts as the former."""
        neighbour = self.path.parent / quoted
        if "/" not in quoted and (root / neighbour).is_file():
            return neighbour
        first = quoted.split("/")[0]
        if first in SURFACES:
            return pathlib.PurePosixPath(quoted)
        if "/" not in quoted and (root / "capi" / quoted).is_file():
            return pathlib.PurePosixPath("capi", quoted)
        return pathlib.PurePosixPath("libadvisor", quoted)

    def is_header(self):
        return self.path.suffix == ".h"

    def third_party(self):
        return [name for _, name, target in self.includes
                if target is None and not is_standard(name) and not POSIX.match(name)]


def check_file(file, private):
    """Every forbidden include of one file, as a readable line. `private` holds the headers with third-party types."""
    module = file.module
    if module not in USES and module not in SURFACES:
        return [f"{file.path}: folder '{module}' is not in the table of {pathlib.Path(__file__).name}"]
    allowed = SURFACES[module] if module in SURFACES else reachable(module)
    errors = []
    for line, name, target in file.includes:
        where = f"{file.path}:{line}"
        if target is None:
            if is_standard(name) or POSIX.match(name):
                if file.is_header() and not is_standard(name):
                    errors.append(f"{where}: <{name}> in a header; the operating system stays in .cpp files")
            elif not any(name.startswith(prefix) for prefix in THIRD_PARTY.get(module, [])):
                errors.append(f"{where}: {module} must not use <{name}>")
            continue
        used = owner(target)
        if used not in USES and used not in SURFACES:
            errors.append(f'{where}: "{name}" names no folder of the house')
        elif used not in allowed:
            errors.append(f'{where}: {module} must not know {used} ("{name}")')
        elif target in private and used != module:
            errors.append(f'{where}: "{name}" shows third-party types and is private to {used}')
    if file.path.parts[0] == "libadvisor":
        errors += check_habits(file.path, module, file.text)
    return errors


def private_headers(files):
    """Headers through which a third-party header comes in, directly or by way of another header."""
    headers = {file.path: file for file in files if file.is_header()}
    private = {path for path, file in headers.items() if file.third_party()}
    while True:
        more = {path for path, file in headers.items() if any(target in private for _, _, target in file.includes)}
        if more <= private:
            return private
        private |= more


def check_habits(path, module, text):
    code = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    return [f"{path}:{code.count(chr(10), 0, found.start()) + 1}: {module} {what}: {found[0].strip()}"
            for what, pattern, allowed in HABITS if module not in allowed
            for found in [pattern.search(code)] if found]


def check_cmake(root):
    """The libraries must be linked along the same arrows."""
    path = root / "libadvisor/CMakeLists.txt"
    errors = []
    for name, arguments in MODULE.findall(path.read_text(encoding="utf-8")) if path.exists() else []:
        used = re.search(r"USES((?:\s+[a-z]\w*)+)", arguments)
        for target in used[1].split() if used else []:
            if name not in USES or target not in reachable(name):
                errors.append(f"libadvisor/CMakeLists.txt: advisor_{name} must not use advisor_{target}")
    return errors


def sources(root):
    for top in ["libadvisor", *SURFACES]:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in {".h", ".c", ".cpp"}:
                yield path.relative_to(root)


def check_tree(root):
    files = [File(root, path) for path in sources(root)]
    private = private_headers(files)
    return [error for file in files for error in check_file(file, private)] + check_cmake(root)


class IncludeGraphTest(unittest.TestCase):
    root = pathlib.Path(__file__).resolve().parents[2]

    def forbidden(self, path, text, others=None):
        """Errors for a tree that holds this one file and the others, {path: text}."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in {path: text, **(others or {})}.items():
                file = pathlib.Path(folder) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")
            return check_tree(pathlib.Path(folder))

    def test_this_repository(self):
        self.assertTrue(list(sources(self.root)), "no source files found")
        self.assertEqual(check_tree(self.root), [])

    def test_table_has_no_cycle(self):
        for module, used in USES.items():
            self.assertFalse(any(module in reachable(name) for name in used), module)

    def test_forbidden_edge_is_found_with_its_line(self):
        self.assertEqual(self.forbidden("libadvisor/rank/rank.cpp", '\n#include "io/database.h"\n'),
                         ['libadvisor/rank/rank.cpp:2: rank must not know io ("io/database.h")'])

    def test_core_knows_nothing(self):
        for module in USES:
            expected = 0 if module == "core" else 1
            self.assertEqual(len(self.forbidden("libadvisor/core/x.h", f'#include "{module}/y.h"')), expected, module)

    def test_allowed_edges_pass(self):
        self.assertEqual(self.forbidden("libadvisor/compress/job.cpp", '#include "tensor/tensor.h"'), [])
        self.assertEqual(self.forbidden("libadvisor/core/x.h", "#include <map>\n#include <stdint.h>"), [])
        self.assertEqual(self.forbidden("libadvisor/facade.cpp", '#include "io/database.h"'), [])

    def test_surfaces_see_only_the_facade(self):
        self.assertEqual(self.forbidden("cli/main.cpp", '#include "facade.h"\n#include "core/error.h"'), [])
        self.assertEqual(len(self.forbidden("cli/main.cpp", '#include "compress/job.h"')), 1)

    def test_third_party(self):
        self.assertEqual(self.forbidden("libadvisor/io/yaml.cpp", "#include <yaml-cpp/yaml.h>"), [])
        self.assertEqual(len(self.forbidden("libadvisor/rules/rule_set.cpp", "#include <yaml-cpp/yaml.h>")), 1)
        self.assertEqual(len(self.forbidden("libadvisor/io/x.h", "#include <unistd.h>")), 1)

    def test_third_party_types_stay_in_their_folder(self):
        headers = {"libadvisor/io/node.h": "#include <yaml-cpp/yaml.h>", "libadvisor/io/all.h": '#include "io/node.h"'}
        self.assertEqual(self.forbidden("libadvisor/io/yaml.cpp", '#include "io/node.h"', headers), [])
        self.assertEqual(len(self.forbidden("libadvisor/facade.cpp", '#include "io/node.h"', headers)), 1)
        self.assertEqual(len(self.forbidden("libadvisor/facade.cpp", '#include "io/all.h"', headers)), 1)

    def test_unknown_folder(self):
        self.assertEqual(len(self.forbidden("libadvisor/misc/x.cpp", "")), 1)
        self.assertEqual(len(self.forbidden("libadvisor/core/x.cpp", '#include "misc/x.h"')), 1)

    def test_habits(self):
        self.assertEqual(len(self.forbidden("libadvisor/rank/x.cpp", "void f() { std::cout << 1; }")), 1)
        self.assertEqual(len(self.forbidden("libadvisor/io/x.cpp", 'auto p = std::getenv("X");')), 1)
        self.assertEqual(len(self.forbidden("libadvisor/rank/x.cpp", "std::ifstream in(path);")), 1)
        self.assertEqual(self.forbidden("libadvisor/rank/x.cpp", "// not std::cout\nint n = snprintf(b, 1, f);"), [])

    def test_cmake_edges(self):
        self.assertEqual(self.forbidden("libadvisor/CMakeLists.txt", "advisor_module(rank USES core PRIVATE x)"), [])
        self.assertEqual(len(self.forbidden("libadvisor/CMakeLists.txt", "advisor_module(rank USES io)")), 1)

    def test_report_long_files(self):
        for path in sources(self.root):
            lines = (self.root / path).read_text(encoding="utf-8").count("\n")
            if lines > LONG:
                print(f"note: {path} has {lines} lines (more than {LONG}): does it have two jobs?", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
