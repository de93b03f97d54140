#!/bin/bash
# The ML runtime's own petastorm 0.12.1 cannot be told a seed. Alone, without what it names as its requirements: these
# are there already, and pip would fetch another pyspark beside the runtime's.
set -euo pipefail
/databricks/python/bin/pip install --no-deps petastorm==0.13.1
