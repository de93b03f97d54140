"""Histories -> codebook, sequences and manifest: the first stage of the line. [spark]"""
