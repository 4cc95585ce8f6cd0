"""The npm tarballs of `make build`: installed together as README.md says, and used in Node."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.tarballs import FreshApp, needs_node

pytestmark = needs_node

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = {
    "@voxwire/protocol": {"Channel", "ClockSync", "VoxwireError", "wire"},
    "@voxwire/protocol/wire": {"EnvelopeSchema", "create", "envelope"},
    "@voxwire/client": {"VoxwireError", "createClient", "tool"},
    "@voxwire/client/node": {"createClient", "nodeSocket", "wavMedia"},
    "@voxwire/client/rtvi": {"pipecatBot"},
    "@voxwire/client/testing": {"FakeServer", "VirtualTime", "fakeMedia"},
    "@voxwire/react": {"Captions", "MicToggle", "VoxwireProvider", "useConnection"},
    "@voxwire/react/testing": {"FakeClient"},
}
IMPORTS = """
const found = {};
for (const name of process.argv.slice(2)) found[name] = Object.keys(await import(name));
console.log(JSON.stringify(found));
"""


def tarballs(npm_app: FreshApp) -> Iterator[tuple[str, set[str]]]:
    """Each package with the names of its files."""
    for path in sorted((npm_app.folder.parent / "voxwire/dist").glob("*.tgz")):
        with tarfile.open(path) as archive:
            names = {name.removeprefix("package/") for name in archive.getnames()}
        yield path.name, names


def test_the_three_install_together_and_nothing_of_ours_comes_from_elsewhere(
    npm_app: FreshApp,
) -> None:
    lock = json.loads((npm_app.folder / "package-lock.json").read_text("utf-8"))
    ours = {name: entry for name, entry in lock["packages"].items() if "@voxwire/" in name}
    assert set(ours) == {
        f"node_modules/@voxwire/{name}" for name in ("client", "protocol", "react")
    }
    assert all(
        entry["resolved"].startswith("file:../voxwire/dist/voxwire-") for entry in ours.values()
    )


def test_every_entry_can_be_imported_in_node(npm_app: FreshApp) -> None:
    (npm_app.folder / "imports.mjs").write_text(IMPORTS)
    found = json.loads(npm_app.checked("node", "imports.mjs", *ENTRIES))
    for name, wanted in ENTRIES.items():
        assert wanted <= set(found[name]), name


def test_every_exported_file_is_in_its_tarball(npm_app: FreshApp) -> None:
    for name in ("protocol", "client", "react"):
        folder = npm_app.folder / "node_modules/@voxwire" / name
        exports = json.loads((folder / "package.json").read_text("utf-8"))["exports"]
        targets = [
            target
            for entry in exports.values()
            for target in (entry.values() if isinstance(entry, dict) else [entry])
        ]
        assert targets
        for target in targets:
            assert list(folder.glob(target)), target
    worklets = npm_app.folder / "node_modules/@voxwire/client/dist/worklets"
    assert {"capture.worklet.js", "playout.worklet.js"} <= {p.name for p in worklets.iterdir()}


def test_a_tarball_has_its_licence_its_readme_and_nothing_of_our_tools(npm_app: FreshApp) -> None:
    seen = dict(tarballs(npm_app))
    assert len(seen) == 3
    for package, names in seen.items():
        assert {"LICENSE", "README.md", "package.json"} <= names
        odd = [n for n in names if ".tsbuildinfo" in n or n.startswith("src/") or ".test." in n]
        assert not odd, package


def test_source_maps_carry_their_sources(npm_app: FreshApp) -> None:
    maps = list((npm_app.folder / "node_modules/@voxwire").rglob("*.js.map"))
    assert maps
    bare = [path.name for path in maps if not json.loads(path.read_text())["sourcesContent"]]
    assert not bare, "a bundler warns of a map whose sources are not there"
