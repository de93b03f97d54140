"""Sequences -> tables in the source's schema: the mirror of encode. [spark]"""
