"""Turn the published views to this run, if its gate passed.

python jobs/publish.py CONFIG [--run RUN], as `synth-spark publish`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["publish", *sys.argv[1:]])
