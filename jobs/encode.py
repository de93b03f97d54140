"""Read the source, fit the codebook, write the encoded sequences and their manifest.

python jobs/encode.py CONFIG [--run RUN], as `synth-spark encode`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["encode", *sys.argv[1:]])
