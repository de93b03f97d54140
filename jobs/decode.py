"""Turn sampled sequences into tables of the source's schema.

python jobs/decode.py CONFIG [--run RUN], as `synth-spark decode`, which explains itself with --help.
"""

import sys

from synth_spark.cli import main

if __name__ == "__main__":
    main(["decode", *sys.argv[1:]])
