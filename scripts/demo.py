"""The way of a user, without a window: QGIS loads the plugin and repairs the sample scene with it.

QGIS gets a profile of its own in a temporary folder, so that the user's is neither needed nor touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pictures import FILLED, ROOT, SAMPLE, before_and_after, side_by_side

PLUGIN = ROOT / "qgis_rsinpaint"
PICTURE = ROOT / "demo" / "before_after.png"
PROGRAMS = (
    "/usr/bin/qgis_process.bin",  # Debian's qgis_process is a wrapper that passes on an option which it does not know
    "qgis_process",
    "/Applications/QGIS.app/Contents/MacOS/bin/qgis_process",
)
COUNTS = ("FILLED_PIXELS", "UNFILLED_PIXELS")


def qgis_process() -> str:
    """The program.

    Raises:
        SystemExit: it is not installed.
    """
    for name in PROGRAMS:
        program = shutil.which(name)
        if program:
            return program
    raise SystemExit("demo: qgis_process was not found. `make setup` installs QGIS, or says how to")


def environment(folder: Path) -> dict[str, str]:
    """For QGIS: without a screen, with a profile, home and temporary folder below `folder`."""
    places = {
        "QGIS_CUSTOM_CONFIG_PATH": folder / "profiles",
        "HOME": folder / "home",
        "XDG_RUNTIME_DIR": folder / "run",
        "TMPDIR": folder / "tmp",
    }
    for place in places.values():
        place.mkdir(parents=True, mode=0o700)
    foreign = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "RSINPAINT_PYTHON"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {name: str(place) for name, place in places.items()} | {"QT_QPA_PLATFORM": "offscreen"}


def install_plugin(program: str, variables: dict[str, str]) -> None:
    """Link the plugin into the profile and switch it on.

    Raises:
        SystemExit: QGIS refuses it.
    """
    plugins = Path(variables["QGIS_CUSTOM_CONFIG_PATH"]) / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / PLUGIN.name).symlink_to(PLUGIN)
    command = [program, "plugins", "enable", PLUGIN.name]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"demo: QGIS does not take the plugin\n{done.stdout}{done.stderr}")


def fill(program: str, variables: dict[str, str]) -> dict[str, int]:
    """Run the algorithm and show what QGIS says meanwhile; returns the counts of pixels.

    Raises:
        SystemExit: the algorithm failed; QGIS's own words come first.
    """
    command = [program, "run", "rsinpaint:fillslcoffgaps", "--", f"INPUT={SAMPLE}", f"OUTPUT={FILLED}"]
    said = ""
    # To a file: a pipe that nobody reads could fill up and stop QGIS.
    with tempfile.TemporaryFile("w+") as complaints:
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=complaints, text=True) as running:
            while running.stdout and (some := running.stdout.read(1)):  # not by lines: progress is dots on one line
                print(some, end="", flush=True)
                said += some
        complaints.seek(0)
        if running.returncode:
            raise SystemExit(f"{complaints.read()}demo: QGIS ended with status {running.returncode}")
    fields = (line.partition(":") for line in said.splitlines())
    return {name.strip(): int(float(value)) for name, _, value in fields if name.strip() in COUNTS}


def main() -> int:
    begun = time.monotonic()
    program = qgis_process()
    FILLED.parent.mkdir(exist_ok=True)
    FILLED.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="rsinpaint-demo-") as folder:
        variables = environment(Path(folder))
        install_plugin(program, variables)
        counts = fill(program, variables)
    if not FILLED.is_file():
        raise SystemExit(f"demo: QGIS reported success, but {FILLED} is not there")
    side_by_side(before_and_after(SAMPLE, FILLED), PICTURE)
    seconds = time.monotonic() - begun
    filled, left = (counts.get(name, 0) for name in COUNTS)
    print(f"\n{filled:,} pixels filled, {left:,} left open, in {seconds:.1f} s")
    print(f"The repaired scene:  {FILLED.relative_to(ROOT)}")
    print(f"Before and after:    {PICTURE.relative_to(ROOT)}")
    return 0 if filled else 1


if __name__ == "__main__":
    sys.exit(main())
