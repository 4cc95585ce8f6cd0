"""An import-linter contract of our own, named in pyproject.toml."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ConfinedContract(Contract):
    """Third-party packages that only some of our modules may import directly.

    The stock `protected` contract fails when a listed package is not imported anywhere yet; this
    one does not.
    """

    type_name = "confined"

    packages = fields.ListField(subfield=fields.StringField())
    allowed_importers = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collects every direct import of `packages` from outside `allowed_importers`."""
        allowed: list[str] = list(self.allowed_importers)  # type: ignore[call-overload]
        broken = [
            f"{importer} imports {package}"
            for package in self.packages  # type: ignore[attr-defined]
            if package in graph.modules
            for importer in sorted(graph.find_modules_that_directly_import(package))
            if not any(importer == name or importer.startswith(f"{name}.") for name in allowed)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints one line per forbidden import."""
        for line in check.metadata["broken"]:
            output.print_error(line)
        output.new_line()
