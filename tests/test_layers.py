"""The layer rule on the syntax tree: models <- analysis <- app, and only app draws."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "models": {"analysis", "app", "streamlit", "plotly", "matplotlib"},
    "analysis": {"app", "streamlit", "plotly"},
}


def imported(path: Path) -> set[str]:
    """Return the top-level names of every import anywhere in a module, lazy ones included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_downwards(package):
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    found = {path.name: imported(path) & FORBIDDEN[package] for path in modules}
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_no_module_unpickles():
    for path in (p for package in ("models", "analysis", "app") for p in (ROOT / package).rglob("*.py")):
        assert not imported(path) & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"torch.load", "joblib.load", "eval", "exec"}, (path, called)
                assert not any(
                    k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords
                )
