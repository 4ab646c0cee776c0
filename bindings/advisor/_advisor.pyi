from typing import Callable, Optional, Tuple

__version__: str

class Error(RuntimeError):
    code: str

class Advisor:
    def __init__(self, data_dir: str = "") -> None: ...
    def recommend_file(self, path: str) -> Tuple[str, str]: ...
    def recommend_json(self, json: str) -> Tuple[str, str]: ...
    def probe(self) -> str: ...
    def plan(self, model: str, out: str, recipe: str, threads: int = 0, overwrite: bool = False) -> str: ...
    def compress(
        self,
        model: str,
        out: str,
        recipe: str,
        threads: int = 0,
        overwrite: bool = False,
        progress: Optional[Callable[[str, int, int, float], Optional[bool]]] = None,
    ) -> str: ...
    def evaluate(
        self,
        model: str,
        suite: str,
        threads: int = 0,
        limit: int = 0,
        progress: Optional[Callable[[str, int, int, float], Optional[bool]]] = None,
    ) -> str: ...
