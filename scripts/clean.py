"""Removes what was built or measured; environments (.venv, node_modules) stay."""

import shutil

from steps import ROOT

NAMES = [
    "out",
    "dist",
    "build",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    ".hypothesis",
]
PACKAGES = ["protocol/python", "server", "clients/python", "scripts", "tests"]

for name in NAMES:
    shutil.rmtree(ROOT / name, ignore_errors=True)
for package in PACKAGES:
    shutil.rmtree(ROOT / package / "dist", ignore_errors=True)
    for cache in (ROOT / package).rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
for built in (ROOT / "clients" / "js").glob("*/*/dist"):
    shutil.rmtree(built, ignore_errors=True)
shutil.rmtree(ROOT / "server" / "src" / "voxwire_server" / "console", ignore_errors=True)
shutil.rmtree(ROOT / "clients" / "js" / "test" / "consumers" / "build", ignore_errors=True)
print("clean: removed", ", ".join([*NAMES, "__pycache__"]))
