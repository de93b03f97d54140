"""The whole line in one process, stage after stage.

python jobs/run.py CONFIG
"""

import argparse

from synth_spark.pipeline.line import run_line

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", help="YAML file of the data set")
    run_line(arguments.parse_args().config)
