"""What the packages of this repository bring along: by pip, by npm, and in Rust libraries.

Read from what is installed, so `.venv`'s Python runs it. Unlike most scripts it needs packages:
packaging and license-expression.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any, Literal

import rust
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from steps import ROOT, StepError, capture

Kind = Literal["pypi", "npm", "cargo"]

OURS = {
    "pypi": ("voxwire", "voxwire-protocol", "voxwire-server"),
    "npm": ("@voxwire/client", "@voxwire/protocol", "@voxwire/react"),
    "cargo": ("voxwire-client", "voxwire-core", "voxwire-ffi", "voxwire-media"),
}
IN_THE_CONSOLE = ("react", "react-dom", "scheduler")
"""What the console's files have in them; tests/integration/test_dist.py looks into the bundle."""

NAMED: dict[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
}
"""Licences as packages write them that do not write SPDX expressions."""

LOOKED_UP = {
    "numba": "BSD-2-Clause",
    "num2words": "LGPL-2.1-or-later",
    "pocketsphinx": "BSD-2-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "uvloop": "MIT OR Apache-2.0",
}
"""Licences of packages that say "BSD" or nothing: from the text of the licence."""


@dataclass(frozen=True)
class Package:
    """A package of somebody's: its licence is an SPDX expression, "" = it says none.

    `requires` are the names of those that it needs, of the same kind.
    """

    kind: Kind
    name: str
    version: str
    licence: str
    requires: tuple[str, ...] = field(default=())

    @property
    def is_ours(self) -> bool:
        """Whether it is made here."""
        return self.name in OURS[self.kind]


def packages() -> list[Package]:
    """Ours and all that they require, with every extra; Rust's only where cargo has them."""
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    found = [*_from_pip(), *npm_packages(lock), *_from_cargo()]
    return sorted(found, key=lambda each: (each.kind, each.name, each.version))


def left_out(found: list[Package]) -> str:
    """What was not looked into, as the end of a line; "" = nothing."""
    if any(each.kind == "cargo" for each in found):
        return ""
    return "; crates were not looked at: no cargo here that has them"


def _from_pip() -> Iterator[Package]:
    extras: dict[str, set[str]] = {}
    queue = [(name, frozenset({"all"})) for name in OURS["pypi"]]
    needs: dict[str, set[str]] = {}
    while queue:
        name, wanted = queue.pop()
        if name in extras and wanted <= extras[name]:
            continue
        extras.setdefault(name, set()).update(wanted)
        required = list(_required(_distribution(name), extras[name]))
        needs[name] = {canonicalize_name(each.name) for each in required}
        queue += [(canonicalize_name(each.name), frozenset(each.extras)) for each in required]
    for name, required in needs.items():
        found = _distribution(name)
        licence = _licence_of(name, found.metadata)
        yield Package("pypi", name, found.version, licence, tuple(sorted(required)))


@cache
def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise StepError(f"{name} is not installed in .venv: make setup") from None


def _required(found: Distribution, extras: set[str]) -> Iterator[Requirement]:
    for each in map(Requirement, found.requires or ()):
        marker = each.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


def _licence_of(name: str, metadata: Any) -> str:
    if name in LOOKED_UP:
        return LOOKED_UP[name]
    if expression := metadata.get("License-Expression"):
        return expression
    said = (metadata.get("License") or "").strip()
    if not said:
        kinds = [c for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
        said = kinds[0].rsplit(" :: ", 1)[-1] if len(kinds) == 1 else ""
    return NAMED.get(said, said)


def npm_packages(lock: dict[str, Any]) -> Iterator[Package]:
    """Ours and all that they require of npm.

    Args:
        lock: ``packages`` of a lock file, by path.

    Raises:
        StepError: One is not in it.
    """
    queue = [(name, "") for name in (*OURS["npm"], *IN_THE_CONSOLE)]
    seen: set[str] = set()
    while queue:
        name, parent = queue.pop()
        place = _place_of(name, parent, lock)
        if place in seen:
            continue
        seen.add(place)
        entry = lock[place]
        required = tuple(sorted(entry.get("dependencies", {})))
        queue += [(each, place) for each in required]
        licence = entry.get("license", "").strip("()")
        yield Package("npm", name, entry["version"], licence, required)


def _place_of(name: str, parent: str, lock: dict[str, Any]) -> str:
    """Where Node finds a package that another requires: inside it, else further and further out."""
    folders = parent.split("/") if parent else []
    for depth in range(len(folders), -1, -1):
        place = "/".join([*folders[:depth], "node_modules", name])
        if place in lock:
            return lock[place]["resolved"] if lock[place].get("link") else place
    raise StepError(f"package-lock.json has no {name}, which {parent or 'voxwire'} requires")


def _from_cargo() -> Iterator[Package]:
    path = rust.cargo()
    if path is None:
        return
    rust.write_lock()
    manifest = ["--manifest-path", rust.WORKSPACE / "Cargo.toml"]
    code, output = capture(
        [path, "metadata", "--offline", "--locked", "--format-version=1", *manifest],
        env=rust.environment(),
    )
    if code != 0:
        return
    read = json.loads(output[output.index("{") :])
    by_id = {each["id"]: each for each in read["packages"]}
    needs = {
        node["id"]: [
            each["pkg"]
            for each in node["deps"]
            if any(k["kind"] is None for k in each["dep_kinds"])
        ]
        for node in read["resolve"]["nodes"]
    }
    queue = [each["id"] for each in read["packages"] if each["name"] in OURS["cargo"]]
    seen: set[str] = set()
    while queue:
        each = queue.pop()
        if each in seen:
            continue
        seen.add(each)
        queue += needs[each]
        crate = by_id[each]
        required = tuple(sorted({by_id[need]["name"] for need in needs[each]}))
        licence = (crate["license"] or "").replace("/", " OR ")
        yield Package("cargo", crate["name"], crate["version"], licence, required)


def text_of(name: str) -> str:
    """The text of the licence of a package that is in the console's files.

    Raises:
        StepError: There is none where it is expected.
    """
    folder = ROOT / "node_modules" / name
    for file in ("LICENSE", "LICENSE.txt"):
        if (folder / file).exists():
            return (folder / file).read_text("utf-8").strip()
    raise StepError(f"{name} has no file with its licence")
