"""synth_spark: synthetic subjects with synthetic event histories, learned and generated on Spark."""

__version__ = "0.1.0"
