"""Train the sequence model on the manifest's files.

python jobs/train.py CONFIG [--run RUN], as `synth-spark train`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
