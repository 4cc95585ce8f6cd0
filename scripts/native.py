"""The C and Kotlin sides of the mobile bindings: what they need, how they are built and tested."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import rust
from debian import install_debian_tools
from steps import OUT, PYTHON, ROOT, Line, StepError, capture, stream, tail

VECTORS = ROOT / "protocol" / "vectors"
C = rust.WORKSPACE / "c"
KOTLIN = rust.WORKSPACE / "kotlin" / "voxwire-kotlin"

BUILT = OUT / "mobile"
"""What is built of one clone, and of no other: CMake and the Kotlin compiler note its path."""

DEBIAN_C = {"cmake": "cmake", "c++": "g++"}
DEBIAN_KOTLIN = {"javac": "default-jdk-headless", "mvn": "maven"}

MIN_JAVA = 17

LIBRARY = {"Darwin": "libvoxwire.dylib"}.get(platform.system(), "libvoxwire.so")


def _missing(tools: dict[str, str]) -> str | None:
    missing = [program for program in tools if not shutil.which(program)]
    packages = " ".join(tools.values())
    return f"no {', '.join(missing)} here (Debian: {packages})" if missing else None


def _old_java() -> str | None:
    found = re.search(r"javac (\d+)", capture(["javac", "-version"])[1])
    if found and int(found[1]) >= MIN_JAVA:
        return None
    return f"Java {found[1] if found else 'of no version'} here, {MIN_JAVA} is wanted"


def missing_c() -> str | None:
    """What is missing for the C side; None = nothing."""
    return _missing(DEBIAN_C)


def missing_kotlin() -> str | None:
    """What is missing for the Kotlin side; None = nothing."""
    if reason := _missing(DEBIAN_KOTLIN) or _old_java():
        return reason
    return None if _maven_stamp().exists() else "Maven could not get what pom.xml names"


def prepare() -> None:
    """Has the tools (as root on Debian) and what Maven downloads; says what is left out."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    for missing, tools in ((missing_c, DEBIAN_C), (lambda: _missing(DEBIAN_KOTLIN), DEBIAN_KOTLIN)):
        if missing() and shutil.which("apt-get") and root:
            install_debian_tools(tools)
    if not (_missing(DEBIAN_KOTLIN) or _old_java()):
        _prepare_maven()
    for name, missing in (("C", missing_c), ("Kotlin", missing_kotlin)):
        if reason := missing():
            print(f"test: the {name} tests are left out: {reason}", flush=True)


def _maven_stamp() -> Path:
    """Says that Maven has what this pom.xml names; beside what it has downloaded."""
    digest = hashlib.sha256((KOTLIN / "pom.xml").read_bytes()).hexdigest()[:12]
    return Path.home() / ".m2" / "repository" / f".voxwire-{digest}"


def maven(goal: str, folder: Path, *properties: str) -> list[str | Path]:
    """A command of Maven's; products go to the folder."""
    options = ["-B", "-ntp", "-q", "-Dstyle.color=never", f"-Dvoxwire.build={folder}", *properties]
    waits = ["-Daether.connector.connectTimeout=10000", "-Daether.connector.requestTimeout=60000"]
    return ["mvn", *options, *waits, "-f", KOTLIN / "pom.xml", goal]


def _maven_environment() -> dict[str, str]:
    """A Java that compiles once and ends: half the processor time of one that runs for long."""
    return {"MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", **os.environ}


def _prepare_maven() -> None:
    """Builds and tests next to nothing once, which downloads what the real build needs."""
    stamp = _maven_stamp()
    if stamp.exists():
        return
    line = Line("download what Maven needs for Kotlin, about 100 MB")
    folder = rust.target() / "kotlin-setup"
    sources = KOTLIN / "src" / "setup" / "kotlin"
    properties = [f"-Dvoxwire.main={sources}/main", f"-Dvoxwire.test={sources}/test"]
    command = maven("test", folder, *properties)
    for options in (["-o"], []):
        code, output = stream(
            [*command, *options], lambda _: line.update("working"), env=_maven_environment()
        )
        if code == 0:
            stamp.touch()
            line.done("done")
            return
    print(f"\ntest: Maven failed:\n{tail(output, 8)}", flush=True)


def library() -> Path:
    """The library that the build has made."""
    return rust.target() / "debug" / LIBRARY


def _run(*commands: Sequence[str | Path], env: dict[str, str] | None = None) -> int:
    """Runs all the commands and shows what they print; returns the first code that is not 0."""
    codes = [
        subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False).returncode
        for command in commands
    ]
    return next((code for code in codes if code), 0)


def _step(*command: str | Path, env: dict[str, str] | None = None) -> None:
    code, output = capture(command, env=env)
    if code != 0:
        raise StepError(f"{Path(command[0]).name} failed:\n{tail(output, 60)}")


def run_c() -> int:
    """Builds the C tests and runs them: the interface as C sees it, the vectors, the packages."""
    build = BUILT / "c"
    options = [f"-DVOXWIRE_LIBRARY={library()}", "-DVOXWIRE_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug"]
    _step("cmake", "-S", C, "-B", build, *options)
    _step("cmake", "--build", build)
    code = _run([build / "smoke"], [build / "vectors", rust.built_schema(), VECTORS])
    with full_server() as url:
        code = (_run([build / "live", url]) if url else 0) or code
    return code or _run_packages(build)


@contextmanager
def full_server() -> Iterator[str]:
    """The URL of a server with the offline bot and no place until somebody waits for one; empty
    where there is no .venv to run it with.

    Raises:
        StepError: It does not start.
    """
    if not PYTHON.exists():
        print("live: left out: no .venv here: `make setup` makes it", flush=True)
        yield ""
        return
    script = ROOT / "tests" / "support" / "full_server.py"
    process = subprocess.Popen([PYTHON, script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not (url := process.stdout.readline().strip()):
            raise StepError("the server for the conversations of other languages does not start")
        yield url
    finally:
        process.terminate()
        process.wait()


def _run_packages(build: Path) -> int:
    """Installs, and builds a program with what a user has: the CMake package, pkg-config."""
    prefix, consumer = build / "installed", build / "consumer"
    shutil.rmtree(prefix, ignore_errors=True)
    _step("cmake", "--install", build, "--prefix", prefix)
    _step("cmake", "-S", C / "tests" / "consumer", "-B", consumer, f"-DCMAKE_PREFIX_PATH={prefix}")
    _step("cmake", "--build", consumer)
    folder = next(prefix.rglob(LIBRARY)).parent
    name = "DYLD_LIBRARY_PATH" if platform.system() == "Darwin" else "LD_LIBRARY_PATH"
    env = {**os.environ, name: str(folder), "PKG_CONFIG_PATH": str(folder / "pkgconfig")}
    passed = 1
    _step(consumer / "consumer", env=env)
    if shutil.which("pkg-config"):
        code, flags = capture(["pkg-config", "--cflags", "--libs", "voxwire"], env=env)
        if code != 0:
            raise StepError(f"pkg-config failed: {flags}")
        program = consumer / "with-pkg-config"
        _step("c++", "-std=c++17", C / "tests/consumer/consumer.cpp", "-o", program, *flags.split())
        _step(program, env=env)
        passed += 1
    print(f"packages: {passed} passed, 0 failed", flush=True)
    return 0


def _write(language: str, folder: Path) -> list[Path]:
    """Writes a language from the library that was built; returns the files."""
    _step(*rust.bindgen(language, library(), folder), env=rust.bindgen_environment())
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run_written() -> int:
    """Kotlin and Swift can be written, and come out the same each time."""
    passed = 0
    for language in ("kotlin", "swift"):
        texts: list[list[str]] = []
        for name in ("once", "again"):
            folder = BUILT / "written" / name / language
            shutil.rmtree(folder, ignore_errors=True)
            texts.append([path.read_text("utf-8") for path in _write(language, folder)])
        if not texts[0] or texts[0] != texts[1]:
            print(f"the {language} is not the same each time", flush=True)
        else:
            passed += 1
    print(f"written: {passed} passed, {2 - passed} failed", flush=True)
    return 0 if passed == 2 else 1


def run_kotlin() -> int:
    """Writes the Kotlin of the library that was built, and runs Maven on it and its tests."""
    folder = BUILT / "kotlin"
    written, fresh = folder / "written", folder / "fresh"
    for path in _write("kotlin", fresh):
        kept = written / path.relative_to(fresh)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists() or kept.read_bytes() != path.read_bytes():
            shutil.copyfile(path, kept)  # what is compiled already keeps its time
    with full_server() as url:
        return _run_maven(folder, written, url)


def _run_maven(folder: Path, written: Path, url: str) -> int:
    command = maven(
        "test",
        folder / "build",
        f"-Dvoxwire.live={url}",
        f"-Dvoxwire.written={written}",
        f"-Dvoxwire.library={library().parent}",
        f"-Dvoxwire.vectors={VECTORS}",
        f"-Dvoxwire.schema={rust.built_schema()}",
    )
    command.remove("-q")
    return _run([*command, "-o"], env=_maven_environment())
