"""One fill for the comparison: calls the command line and reports its CPU time as the comparison wants to read it.

python bench/candidate.py MODEL SCENE MASK OUT
"""

import json
import subprocess
import sys
from pathlib import Path


def main(model: str, scene: str, mask: str, output: str) -> int:
    program = str(Path(sys.executable).with_name("rsinpaint"))
    options = ["--task", "slcoff", "--model", model, "--mask", mask, "--device", "cpu", "--overwrite", "--json"]
    done = subprocess.run([program, "fill", scene, "-o", output, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        return done.returncode
    report = json.loads(done.stdout)
    print(json.dumps({"fill_cpu_s": report["cpu_seconds"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
