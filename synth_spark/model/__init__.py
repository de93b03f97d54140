"""The sequence model: network, keyed random numbers, generation, checkpoint. [torch]"""
