"""Attacks that need a network: likelihoods under a released model, learned profiles of histories. [torch]"""
