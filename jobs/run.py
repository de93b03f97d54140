"""Walk the whole line in one process.

python jobs/run.py CONFIG [--run RUN], as `synth-spark run`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
