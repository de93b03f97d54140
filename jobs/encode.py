"""Read the source, fit the codebook, write the encoded sequences and their manifest.

python jobs/encode.py CONFIG [--run-id RUN]
"""

import argparse

from synth_spark.pipeline.stages import run_stage

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", help="YAML file of the data set")
    arguments.add_argument("--run-id", help="the run to work on; default: the latest")
    given = arguments.parse_args()
    run_stage("encode", given.config, given.run_id)
