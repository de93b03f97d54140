"""Training: petastorm batches, DDP ranks, the loop, calibration, launchers. [torch]"""
