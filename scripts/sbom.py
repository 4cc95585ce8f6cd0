"""Writes the bill of materials of a release: `sbom.py FILE`; run by .venv's Python.

CycloneDX, by cyclonedx-python-lib, and held against the schema that it brings. The same packages
make the same file: its number is made of them, its time is $SOURCE_DATE_EPOCH.
"""

import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import third_party
from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from steps import StepError
from third_party import IN_THE_CONSOLE, Package

VERSION: Final = SchemaVersion.V1_6
SPACE: Final = uuid.UUID("9b2f3c5e-6f0e-5a9c-8d64-7a1d0f6f0c11")
"""Numbers of ours are made in it."""


def component(package: Package) -> Component:
    """A package as CycloneDX has it."""
    group, _, name = package.name.rpartition("/")
    purl = PackageURL(package.kind, group or None, name, package.version)
    licence = LicenseFactory().make_from_string(package.licence)
    return Component(
        type=ComponentType.LIBRARY,
        group=group or None,
        name=name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[licence],
    )


def bill(found: list[Package], version: str, epoch_s: int) -> Bom:
    """All of it: ours, what they require, and who requires what."""
    release = Component(
        type=ComponentType.FRAMEWORK, name="voxwire", version=version, bom_ref="voxwire"
    )
    bom = Bom()
    bom.metadata.component = release
    bom.metadata.timestamp = datetime.fromtimestamp(epoch_s, UTC)
    made = {package: component(package) for package in found}
    by_name: dict[tuple[str, str], list[Component]] = {}
    for package, each in made.items():
        bom.components.add(each)
        by_name.setdefault((package.kind, package.name), []).append(each)
    for package, each in made.items():
        needs = [need for name in package.requires for need in by_name[package.kind, name]]
        if package.name == "voxwire-server":  # its wheel has the console
            needs += [need for name in IN_THE_CONSOLE for need in by_name["npm", name]]
        bom.register_dependency(each, needs)
    bom.register_dependency(release, [each for package, each in made.items() if package.is_ours])
    names = "\n".join(sorted(each.bom_ref.value or "" for each in made.values()))
    bom.serial_number = uuid.uuid5(SPACE, f"{version}\n{epoch_s}\n{names}")
    return bom


def text_of(bom: Bom) -> str:
    """Its JSON, indented.

    Raises:
        StepError: It is not what the schema says.
    """
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=1)
    if error := JsonStrictValidator(VERSION).validate_str(text):
        raise StepError(f"the SBOM is not what its schema says: {error}")
    return text + "\n"


def main(arguments: list[str]) -> int:
    """Writes the file."""
    try:
        found = third_party.packages()
        version = next(p.version for p in found if p.name == "voxwire")
        epoch_s = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        Path(arguments[0]).write_text(text_of(bill(found, version, epoch_s)), "utf-8")
        print(f"sbom: {len(found)} packages{third_party.left_out(found)}")
    except StepError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
