"""Draw synthetic histories from the checkpoint.

python jobs/sample.py CONFIG [--run RUN], as `synth-spark sample`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["sample", *sys.argv[1:]])
