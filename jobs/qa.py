"""Compare synthetic tables with the source; write QA result and report.

python jobs/qa.py CONFIG [--run RUN], as `synth-spark qa`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["qa", *sys.argv[1:]])
