"""Makes .venv: `setup.py [--runtime-only] [--npm] [--pipecat] [--system]`.

It must parse on any Python 3.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "Voxwire needs Python 3.11 or newer; %s is %d.%d.%d. Choose another with: make PYTHON=python3.12\n"  # noqa: UP031, E501
        % ((sys.executable,) + tuple(sys.version_info[:3]))  # noqa: RUF005
    )
    sys.exit(1)

if __name__ == "__main__":
    from install import main

    sys.exit(main(sys.argv[1:]))
