"""Sampling: chunk specs in, codes out, on Spark executors. [spark; torch on the executor only]"""
